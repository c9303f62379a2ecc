//! Guard-rails on counts made up for them.

use super::limits::judge;
use super::*;

fn arm(decisions: f64, positives: f64) -> Counted {
    let mut arm = Counted { decisions, shown: decisions, predicted: decisions * 0.2, positives, ..Counted::default() };
    arm.scores[4] = decisions;
    arm.times[5] = decisions;
    arm
}

#[test]
fn a_challenger_like_the_champion_stays() {
    for decisions in [0.0, 10.0, 1_000.0] {
        assert_eq!(judge(&arm(9_000.0, 1_800.0), &arm(decisions, decisions * 0.2)), None);
    }
    // Some better, some worse: a matter of judgement, not of safety.
    assert_eq!(judge(&arm(9_000.0, 1_800.0), &arm(1_000.0, 120.0)), None);
    assert_eq!(judge(&arm(9_000.0, 1_800.0), &arm(1_000.0, 300.0)), None);
}

#[test]
fn each_guard_rail_says_what_it_saw() {
    let champion = arm(9_000.0, 1_800.0);
    let sound = arm(1_000.0, 200.0);
    let mut slow = sound.clone();
    slow.times = [0.0; TIME_BINS];
    slow.times[14] = 1_000.0;
    let mut shifted = sound.clone();
    shifted.scores = [0.0; SCORE_BINS];
    shifted.scores[19] = 1_000.0;
    for (challenger, word) in [
        (Counted { non_finite: 3.0, ..sound.clone() }, "no numbers"),
        (Counted { skipping: 30.0, ..sound.clone() }, "could not score"),
        (slow, "takes 8192 us"),
        (shifted, "PSI"),
        (arm(1_000.0, 40.0), "40 of its actions were accepted where 200"),
        (arm(1_000.0, 900.0), "900 of its actions"),
    ] {
        let reason = judge(&champion, &challenger).unwrap_or_else(|| panic!("{word} was not seen"));
        assert!(reason.contains(word), "{word}: {reason}");
    }
}

#[test]
fn few_decisions_say_nothing_but_scores_that_are_no_numbers() {
    let champion = arm(9_000.0, 1_800.0);
    let few = Counted { skipping: 5.0, positives: 0.0, ..arm(20.0, 0.0) };
    assert_eq!(judge(&champion, &few), None);
    assert!(judge(&champion, &Counted { non_finite: 4.0, ..few }).is_some());
}
