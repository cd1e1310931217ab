"""Every fault, in the order of the table in docs/reliability.md."""

from faults_of_answers import CODINGS, CONTENTS, REDIRECTS, STATUSES
from faults_of_connections import CONNECTIONS

SECTIONS = {
    "Connections and framing": CONNECTIONS,
    "Statuses": STATUSES,
    "Redirects": REDIRECTS,
    "Codings of content": CODINGS,
    "What an answer says": CONTENTS,
}

FAULTS = [fault for section in SECTIONS.values() for fault in section]
