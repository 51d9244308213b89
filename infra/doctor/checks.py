"""The table of checks, in the order in which a person gets to the first picture."""

from infra.doctor import hosting, surroundings
from infra.doctor.finding import Check

AWS = ("region", "credentials")
STACK = (*AWS, "stack")
GOAL = (*STACK, "endpoint.toml", "image")


def checks(stage: str) -> tuple[Check, ...]:
    """Every check of a stage. `after` names only checks that stand above."""
    deploy, apply = f"imagine deploy --stage {stage}", f"imagine endpoint apply --stage {stage}"
    return (
        Check(name="tools", look=surroundings.tools),
        Check(name="disk", look=surroundings.disk),
        Check(name="region", look=surroundings.region),
        Check(name="credentials", look=surroundings.credentials, after=("region",)),
        Check(name="Slack token", look=surroundings.slack_token, after=AWS, fix="imagine slack manifest"),
        Check(name="signing secret", look=surroundings.signing_secret, after=AWS),
        Check(name="stack", look=surroundings.stack, after=AWS, fix=deploy),
        Check(name="notifications", look=surroundings.notifications, after=STACK, fix=deploy),
        Check(name="error topic", look=surroundings.topic, after=STACK, fix=deploy),
        Check(name="endpoint.toml", look=hosting.settings, fix="imagine endpoint plan"),
        Check(name="permissions", look=hosting.permissions, after=(*STACK, "endpoint.toml")),
        Check(name="quotas", look=hosting.quotas, after=(*AWS, "endpoint.toml")),
        Check(name="image", look=hosting.image, after=(*AWS, "endpoint.toml"), fix="imagine image push"),
        Check(name="model", look=hosting.model, after=(*AWS, "endpoint.toml"), fix="imagine models upload"),
        Check(name="endpoint", look=hosting.endpoint, after=GOAL, fix=apply),
        Check(name="role", look=hosting.role, after=(*GOAL, "endpoint"), fix=apply),
        Check(name="scaling", look=hosting.scaling, after=(*GOAL, "endpoint"), fix=apply),
        Check(name="drift", look=hosting.drift, after=(*GOAL, "endpoint"), fix=apply),
        Check(name="orphans", look=hosting.orphans, after=AWS),
        Check(name="prices", look=surroundings.prices),
    )
