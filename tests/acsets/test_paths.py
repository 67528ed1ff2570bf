import pytest
from acset_strategies import STUDY, refused

from sim2real_cat.acsets.schema import Path, names_of
from sim2real_cat.errors import SchemaError


def test_a_path_has_a_domain_and_a_codomain():
    path = STUDY.path("train.deploy")
    assert path == Path("SimEnv", ("train", "deploy"), "RealEnv")
    assert str(path) == "train.deploy"
    assert STUDY.path(("train", "deploy"), "SimEnv") == path
    assert STUDY.path(["train", "kl_gap"]).codom == "TransferGap"


def test_the_empty_path_is_the_identity_of_an_object():
    assert STUDY.path("", "Policy") == STUDY.path((), "Policy") == Path("Policy", (), "Policy")
    assert names_of("") == ()


@pytest.mark.parametrize(
    ("path", "ob", "parts"),
    [
        ("train.deplyo", None, ["'train.deplyo'", "unknown arrow 'deplyo'", "did you mean 'deploy'"]),
        ("deploy.train", None, ["'deploy' ends in RealEnv", "'train' starts in SimEnv", "do not compose"]),
        ("train.kl_gap.deploy", None, ["'kl_gap'", "attribute", "last", "'train.kl_gap.deploy'"]),
        ("train..deploy", None, ["empty name"]),
        ("", None, ["identity", "ob="]),
        ("", "Polcy", ["unknown object 'Polcy'", "did you mean 'Policy'"]),
        ("train", "Policy", ["starts in SimEnv", "not in Policy"]),
        (3, None, ["'a.b.c'", "3"]),
        (("train", 3), None, ["'a.b.c'"]),
    ],
)
def test_what_is_no_path_is_refused(path, ob, parts):
    with refused(SchemaError, *parts):
        STUDY.path(path, ob)
