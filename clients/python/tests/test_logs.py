"""The record as tables and as bandit feedback."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy
import polars
import pytest

import tactful


def test_polars_has_typed_columns(client: tactful.Client, record: None) -> None:
    frame = client.logs.to_polars()
    assert frame.height >= 120 * 3
    kinds = frame.schema
    assert kinds["decision_time"] == polars.Datetime("us", "UTC") and kinds["accepted"] == polars.Boolean
    assert kinds["feature.customer.age"] == polars.Float64
    assert kinds["feature.customer.segment"] == polars.String
    assert kinds["feature.customer.has_mobile"] == polars.Boolean
    assert kinds["feature.context.signed_in"] == polars.Boolean
    mine = frame.filter(polars.col("subject_id") == "customer:1", polars.col("placement") == "web_home")
    assert mine["slot"].to_list()[:3] == [0, 1, 2]
    accepted = frame.filter(polars.col("answer") == "accepted")
    assert 0 < accepted.height < frame.height and accepted["accepted"].all() and accepted["exposed"].all()
    assert frame["feature.customer.tenure_months"].null_count() > 0
    assert not frame.filter(polars.col("answer") == "rejected")["accepted"].any()


def test_times_bound_the_record(client: tactful.Client, record: None) -> None:
    frame = client.logs.to_polars()
    middle = frame["decision_time"].sort()[frame.height // 2]
    early, late = client.logs.to_polars(end=middle), client.logs.to_polars(start=middle)
    assert early.height + late.height >= frame.height and 0 < early.height < frame.height
    assert client.logs.to_polars(start="2099-01-01T00:00:00Z").height == 0
    later = datetime.now(timezone.utc) - timedelta(days=1)
    assert client.logs.to_pandas(start=later).shape[0] >= frame.height


def test_pandas_has_the_same(client: tactful.Client, record: None) -> None:
    ours, theirs = client.logs.to_pandas(), client.logs.to_polars()
    assert list(ours.columns) == theirs.columns and len(ours) == theirs.height
    assert ours["feature.customer.age"].dtype == "float64" and str(ours["decision_time"].dtype).endswith("UTC]")
    assert ours["accepted"].sum() == theirs["accepted"].sum()


def test_frames_are_encoded_for_boosters(client: tactful.Client, record: None) -> None:
    for frame in (client.logs.to_pandas(), client.logs.to_polars()):
        rows, specs = tactful.encode(frame)
        assert rows.dtype == numpy.float32 and rows.shape == (len(frame), len(specs))
        assert {"customer.age", "customer.segment=family", "customer.has_mobile:bool"} <= set(specs)
        assert numpy.isnan(rows[:, specs.index("customer.tenure_months")]).any()
        words = [at for at, spec in enumerate(specs) if spec.startswith("customer.segment=")]
        assert set(rows[:, words].sum(axis=1)) <= {0.0, 1.0}
    with pytest.raises(tactful.InvalidArgument) as refused:
        tactful.encode(frame, ["customer.agee"])
    assert "customer.agee" in str(refused.value)


def test_bandit_feedback_fits_the_open_bandit_pipeline(client: tactful.Client, record: None) -> None:
    found = client.logs.to_obp(placement="web_home")
    rounds, actions = found["n_rounds"], found["n_actions"]
    assert rounds >= 120 and actions == len(found["action_names"]) > 1
    for name in ("action", "position", "reward", "pscore", "decision_id"):
        assert found[name].shape == (rounds,), name
    assert found["context"].shape == (rounds, len(found["context_names"])) and numpy.isfinite(found["context"]).all()
    assert found["action_context"].shape == (actions, actions) and found["expected_reward"] is None
    assert found["action"].min() == 0 and found["action"].max() == actions - 1
    assert set(found["reward"]) == {0.0, 1.0} and ((found["pscore"] > 0) & (found["pscore"] <= 1)).all()
    accepted = client.logs.to_polars().filter(polars.col("placement") == "web_home")["accepted"].sum()
    assert found["reward"].sum() == accepted
    assert set(found["position"]) >= {0, 1}


def test_the_reward_can_be_anothers_and_open_windows_are_left_out(client: tactful.Client, record: None) -> None:
    money = client.logs.to_obp(reward=lambda row: sum(outcome["value"] for outcome in row["outcomes"]))
    assert money["reward"].shape == (money["n_rounds"],)
    with pytest.raises(tactful.InvalidArgument) as young:
        client.logs.to_obp(window=timedelta(days=7))
    assert young.value.reason == "NO_ROWS"
    assert client.logs.to_obp(window=timedelta(days=7), settled_only=False)["reward"].sum() > 0
    chosen = client.logs.to_obp(features=["customer.age"])
    assert chosen["context_names"] == ["customer.age", "customer.age?"] or chosen["context_names"] == ["customer.age"]
    with pytest.raises(tactful.InvalidArgument):
        client.logs.to_obp(features=["customer.agee"])
