"""What an answer of HTTP means for a notice."""

from kata_audit.exporters.base import Delivery
from kata_audit.exporters.post import Answer

_NEVER = frozenset({400, 413, 422})
"""The destination has read the notice and says that it is none: sending it again changes nothing."""


def judge(answer: Answer, count: int) -> Delivery:
    """Turn an answer into what became of `count` notices that were sent together.

    Anything but a success or a plain refusal of the content is tried again: a wrong token, a moved path and a full queue are
    mended by people, and the notices wait for them.
    """
    if 200 <= answer.status < 300:
        return Delivery(count)
    if answer.status in _NEVER:
        return Delivery(count, refused=count, problem=f"it refused the content with HTTP status {answer.status}")
    redirect = "; redirects are not followed" if 300 <= answer.status < 400 else ""
    return Delivery(0, 0, f"it answered with HTTP status {answer.status}{redirect}", answer.retry_after_secs)
