"""Deciding, events, outcomes, and errors that name the field."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

import tactful


def test_a_decision_says_what_to_show_and_why(client: tactful.Client) -> None:
    receipt = client.ingest([tactful.Event.identify("customer:d1", {"age": 44, "segment": "family"})])
    decision = client.decide("customer:d1", "web_home", count=2, context={"intent": "buy"}, after=receipt)
    assert receipt.accepted == 1 and not decision.degraded
    assert len(decision) == len(decision.actions) == 2 and decision.decision_id
    top = decision.top
    assert top is not None and top.slot == 0 and top.placement == "web_home" and top.title
    factors = top.acceptance_probability * top.value * top.context_weight * top.lever
    assert top.priority == pytest.approx(factors, rel=1e-4)
    assert 0 < top.selection_probability <= 1 and top.outcome_token not in repr(top)
    html = decision._repr_html_()
    assert top.action_id in html and "<table>" in html


def test_html_shows_text_and_runs_nothing(client: tactful.Client) -> None:
    html = client.decide("customer:<script>", test=True)._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_a_what_if_is_not_recorded_and_has_no_token(client: tactful.Client) -> None:
    decision = client.decide("customer:d2", overrides={"age": 30}, test=True, explain="full")
    assert decision.decision_id == "" and decision.candidates
    assert decision.top is not None
    with pytest.raises(tactful.InvalidArgument) as refused:
        client.outcomes([(decision.top, "accepted")])
    assert list(refused.value.fields) == ["outcomes[0].outcome_token"]


def test_several_placements_share_no_action(client: tactful.Client) -> None:
    decision = client.decide("customer:d3", ["web_home", "web_account"])
    shown = [action.action_id for action in decision]
    assert [place.placement for place in decision.placements] == ["web_home", "web_account"]
    assert len(shown) == len(set(shown)) > 2


def test_segment_events_and_our_own_are_taken(client: tactful.Client) -> None:
    when = datetime.now(timezone.utc)
    receipt = client.ingest(
        [
            {"type": "track", "userId": "customer:e1", "event": "Order Placed", "messageId": "m1", "timestamp": when},
            {"type": "page", "anonymousId": "af31", "properties": {"price": {"net": 3}, "tags": ["a", "b"]}},
            tactful.Event.track("customer:e1", "Order Placed", {"total": 3}, message_id="m2", channel="web"),
        ]
    )
    assert receipt.accepted == 3 and receipt.errors == []


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"type": "trak", "userId": "c:1"}, "events[1].type"),
        ({"type": "page"}, "events[1].subject_id"),
        ({"type": "page", "userId": "c:1", "properteis": {}}, "events[1].properteis"),
        ({"type": "page", "userId": "c:1", "properties": {"a": float("nan")}}, "events[1].properties[a]"),
        ({"type": "page", "userId": "c:1", "timestamp": "yesterday"}, "events[1].time"),
        ({"type": "page", "userId": "c:1", "timestamp": datetime(2026, 1, 1)}, "events[1].time"),
        ("page", "events[1]"),
    ],
)
def test_a_wrong_event_is_refused_before_it_is_sent(client: tactful.Client, event: object, field: str) -> None:
    with pytest.raises(tactful.InvalidArgument) as refused:
        client.ingest([{"type": "page", "userId": "c:1"}, event])  # type: ignore[list-item]
    assert list(refused.value.fields) == [field] and field in str(refused.value)


def test_what_the_server_refuses_of_a_batch_is_told_item_by_item(client: tactful.Client) -> None:
    events = [tactful.Event.page("customer:e2"), tactful.Event("track", "customer:e2", "")]
    with pytest.raises(tactful.PartlyRefused) as refused:
        client.ingest(events)
    assert refused.value.accepted == 1
    assert [(error.index, error.field) for error in refused.value.errors] == [(1, "name")]
    receipt = client.ingest(events, on_error="return")
    assert receipt.accepted == 1 and len(receipt.errors) == 1


def test_more_than_a_thousand_events_go_in_several_calls(client: tactful.Client) -> None:
    receipt = client.ingest(tactful.Event.page(f"customer:m{at}") for at in range(1500))
    assert receipt.accepted == 1500


def test_outcomes_take_shown_actions_and_dicts(client: tactful.Client) -> None:
    top = client.decide("customer:o1").top
    assert top is not None
    receipt = client.outcomes(
        [
            (top, "exposed"),
            tactful.Outcome(top, "accepted", value=12.5, message_id="o1"),
            {"outcome_token": top.outcome_token, "subject_id": "customer:o1", "outcome": "clicked"},
        ]
    )
    assert receipt.accepted == 3
    with pytest.raises(tactful.InvalidArgument) as refused:
        client.outcomes([(top, "bought")])
    assert "outcomes[0].outcome" in refused.value.fields


def test_the_servers_errors_name_the_field(client: tactful.Client) -> None:
    with pytest.raises(tactful.NotFound) as missing:
        client.decide("customer:1", "nowhere")
    assert missing.value.reason == "NOT_FOUND" and list(missing.value.fields) == ["placements[0].placement"]
    with pytest.raises(tactful.InvalidArgument) as wrong:
        client.decide("", "web_home")
    assert wrong.value.fields["subject_id"] and wrong.value.code == "INVALID_ARGUMENT"
    with pytest.raises(tactful.Error) as context:
        client.decide("customer:1", context={"intent": 3})
    assert any("intent" in field for field in context.value.fields), context.value.fields


def test_what_is_wrong_at_once_is_not_sent() -> None:
    with tactful.Client("127.0.0.1:1") as client:
        for call, field in (
            (lambda: client.decide("c", count=21), "count"),
            (lambda: client.decide("c", explain="all"), "explain"),
            (lambda: client.models.canary("a", 1, share=1.5), "share"),
            (lambda: client.models.compare("a", window=0), "window"),
            (lambda: client.logs.to_pandas(start="now"), "start"),
            (lambda: client.logs.to_pandas(positive=["yes"]), "positive"),
            (lambda: client.models.push("model.pkl"), None),
            (lambda: client.models.push("model.h5"), "model"),
            (lambda: client.models.push(object(), name="a"), "object"),
        ):
            with pytest.raises(tactful.Error) as refused:
                call()
            assert refused.value.code == "LOCAL"
            assert field is None or field in refused.value.fields


def test_a_server_that_is_not_there_is_told_with_what_helps() -> None:
    with tactful.Client("http://127.0.0.1:1", timeout=2) as client, pytest.raises(tactful.Unavailable) as gone:
        client.models.list()
    assert "127.0.0.1:1" in str(gone.value) and "tactful serve" in str(gone.value)
