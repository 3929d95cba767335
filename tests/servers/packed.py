"""Files of packs, as `integrate` writes them where nothing is configured."""

from kata_audit.config import Config
from kata_audit.integrations.pack import fill_in
from kata_audit.wiring import integration_file, integration_packs
from kata_audit.wiring_integrate import with_rules


def packed(target: str, name: str) -> str:
    """Give a file of a pack."""
    pack = integration_packs()[target]
    return with_rules(fill_in(pack, integration_file(pack, name), {}), Config().rules)
