"""Platforms, and profiles: named sets of defaults, under the file and over the policies' own."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Platform(StrEnum):
    """Where training and serving run."""

    LOCAL = "local"
    SAGEMAKER = "sagemaker"
    AZUREML = "azureml"
    VERTEX = "vertex"


#: The platforms that can be chosen today; adding an adapter adds its name here.
ADAPTED: frozenset[Platform] = frozenset(Platform)


class ProfileName(StrEnum):
    """Which set of default waits a run starts from."""

    LAPTOP = "laptop"
    PRODUCTION = "production"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One set of defaults.

    Args:
        meaning: what it is for, in half a sentence.
        defaults: value by dotted key.
        clock_scale: how many of the project's seconds pass in one of the host's; only waits
            are shortened by it, never what is measured.
    """

    meaning: str
    defaults: Mapping[str, float]
    clock_scale: float = 1


_LAPTOP: Mapping[str, float] = {
    "train.poll_s": 1,
    "rollout.hold_s": 0,
    "rollout.min_requests": 300,
    "rollout.poll_s": 1,
    # never more than load.rate_per_s: 10 % of its 50/s bring the 300 requests of the first step
    # in a minute, 10 % of 200/s in 15 s
    "rollout.replay_rate_per_s": 200,
}
PROFILES: Mapping[ProfileName, Profile] = {
    ProfileName.LAPTOP: Profile(
        meaning="a step ends with its requests, which are replayed held-out rows",
        defaults=_LAPTOP,
    ),
    ProfileName.PRODUCTION: Profile(
        meaning="users bring the traffic, and every step is held for its time",
        # a cloud's endpoint takes many minutes to come up
        defaults={"staging.health_time_limit_s": 1800},
    ),
    ProfileName.TEST: Profile(
        meaning="like `laptop`, with fewer requests and waits a twentieth as long",
        defaults={**_LAPTOP, "rollout.min_requests": 60, "load.duration_s": 3},
        clock_scale=20,
    ),
}


def profile_for(platform: Platform) -> ProfileName:
    """The profile of a run that names none."""
    return ProfileName.LAPTOP if platform is Platform.LOCAL else ProfileName.PRODUCTION
