"""The loops that order the stages; nothing else decides anything here."""
