"""What is published on the Hub and how: one list of what may leave this machine, and one way to put it there."""

from hf_hmtl.model.publishing_hmtl import publish_with


def _publish(model, repo_id: str, **options):
    """As `hf_hmtl.hub.model.push_model`, which is imported when something is published."""
    from hf_hmtl.hub.model import push_model

    return push_model(model, repo_id, **options)


publish_with(_publish)
