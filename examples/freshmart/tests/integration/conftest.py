import pytest


def pytest_addoption(parser):
    parser.addoption("--endpoint", required=True, help="where the model is served")
    parser.addoption("--n-samples", type=int, default=100, help="deliveries to ask about")


@pytest.fixture(scope="session")
def endpoint(request):
    return request.config.getoption("--endpoint").rstrip("/")


@pytest.fixture(scope="session")
def n_samples(request):
    return request.config.getoption("--n-samples")
