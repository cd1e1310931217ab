"""Every fault, in the order of the table in docs/reliability.md."""

from faults_of_answers import CODINGS, CONTENTS
from faults_of_connections import CONNECTIONS
from faults_of_statuses import REDIRECTS, STATUSES

SECTIONS = {
    "Connections and framing": CONNECTIONS,
    "Statuses": STATUSES,
    "Redirects": REDIRECTS,
    "Codings of content": CODINGS,
    "What an answer says": CONTENTS,
}

FAULTS = [fault for section in SECTIONS.values() for fault in section]
