"""Every call against `/openapi.json`, as schemathesis has it: what the document allows, and what it forbids."""

from __future__ import annotations

import shutil

import httpx
import pytest
import torch
from hypothesis import HealthCheck, given, settings

from convlens.server import running_server

NUMBER = 60  # requests of each kind for each call


@pytest.fixture(autouse=True)
def _all_numbers() -> None:
    """A training in this process has the processor take the smallest numbers for 0, which hypothesis refuses."""
    torch.set_flush_denormal(False)


@pytest.fixture(scope="module")
def url(trained_run, tmp_path_factory):
    """Of a server of a copy: one of the calls writes into the run."""
    with running_server(shutil.copytree(trained_run, tmp_path_factory.mktemp("document") / "digits")) as served:
        yield served.url


@pytest.fixture(scope="module")
def api(url):
    import schemathesis

    return schemathesis.openapi.from_url(f"{url}openapi.json")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_every_call_keeps_to_its_document(api, url, digits, mode):
    """Answers are as the document says, and what it forbids is refused. Not that what it allows is taken: text that a
    schema allows may be no picture, so that what is allowed comes with one that is there.
    """
    answer = httpx.post(f"{url}v1/predict", files={"picture": digits[0]})
    sent = answer.json()["predictions"][0]["picture"]
    from schemathesis import GenerationMode, checks

    for found in api.get_all_operations():

        @settings(max_examples=NUMBER, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(found.ok().as_strategy(generation_mode=GenerationMode(mode)))
        def each(case):
            if mode == "positive" and isinstance(case.body, dict) and "base64" in case.body.get("picture", ()):
                case.body["picture"] = {"id": sent}
            answer = case.call()
            left_out = [checks.positive_data_acceptance]
            # The check does not know that 410 and 413 refuse, nor that in a form a number is a picture's bytes too.
            if answer.status_code in (410, 413) or case.media_type == "multipart/form-data":
                left_out.append(checks.negative_data_rejection)
            case.validate_response(answer, excluded_checks=left_out)
            assert answer.status_code < 500

        each()


@pytest.mark.slow
def test_the_document_is_openapi(api):
    api.validate()
