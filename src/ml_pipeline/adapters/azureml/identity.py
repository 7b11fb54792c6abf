"""Who asks Azure: its default chain, or the CI job itself, without a stored key.

A job's own token lasts minutes and an access token an hour, so a file with the first would not
last a release: it is asked for anew whenever Azure wants one, as long as the job lasts.

Source:
    OpenID Connect of GitHub Actions: a GET of `ACTIONS_ID_TOKEN_REQUEST_URL` with `audience`, and
    `ACTIONS_ID_TOKEN_REQUEST_TOKEN` as its bearer; the answer's `value` is the token.
"""

from collections.abc import Mapping
from typing import Any

from ml_pipeline.adapters.azureml import sdk

#: Both of the request in one, as the Dagger module hands them on.
REQUEST = "AZURE_TOKEN_REQUEST"
_AUDIENCE = "api://AzureADTokenExchange"


def credential(environ: Mapping[str, str], transport: Any) -> Any:
    """What gives tokens; a CI job's own identity where application and directory are named.

    Args:
        environ: the process's.
        transport: the wire; it also waits.
    """
    client, tenant = environ.get("AZURE_CLIENT_ID"), environ.get("AZURE_TENANT_ID")
    address, _, key = environ.get(REQUEST, "").partition(" ")
    if client and tenant and key and not environ.get("AZURE_CLIENT_SECRET"):
        headers = {"Authorization": f"Bearer {key}"}
        # whoever asks for a token tries again: tries of its own would multiply them
        wire = sdk.PipelineClient(address, policies=[], transport=transport)

        def own_token() -> str:
            asked = sdk.HttpRequest("GET", f"{address}&audience={_AUDIENCE}", headers=headers)
            answer = wire.send_request(asked)
            answer.raise_for_status()
            return str(answer.json()["value"])

        return sdk.ClientAssertionCredential(tenant, client, own_token, transport=transport)
    # What a person would have to click through has no place in a pipeline.
    return sdk.DefaultAzureCredential(
        exclude_interactive_browser_credential=True, transport=transport
    )
