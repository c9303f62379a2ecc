//! What is true of every action of the catalogue in `catalog/`.
//!
//! `base` is the logit of the acceptance probability of an average customer whose contact is about
//! something else: -2.9 is 5 %, -2.2 is 10 %, -1.4 is 20 %, -0.85 is 30 %, 0 is 50 %. The catalogue's
//! `start_acceptance` is a rough guess of it, and many guesses are well off: that is what a model learns.

use std::collections::HashMap;

use tactful_core::catalog::Kind;

use super::effect::{Effect, Effect as E, Need, Need as N};
use crate::persona::{Latent, Latent as L};
use crate::topic::{MatterKind as M, Product as P, Topic, Topic as T};

/// What is true of one action.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ActionTruth {
    pub(crate) id: &'static str,
    pub(crate) kind: Kind,
    pub(crate) topic: Topic,
    /// Logit for an average customer in a contact about something else.
    pub(crate) base: f64,
    /// What latent traits add beyond the interest in the topic.
    pub(crate) loadings: &'static [(Latent, f64)],
    /// What must be so for it to fit.
    pub(crate) needs: &'static [Need],
    /// What accepting does.
    pub(crate) effect: Effect,
}

/// The actions by id.
pub(crate) struct Source(HashMap<&'static str, &'static ActionTruth>);

impl Source {
    /// All actions of the table.
    pub(crate) fn new() -> Self {
        Self(
            [SERVE, INFORM, ASK, ROUTE, RETAIN, SELL].into_iter().flatten().map(|action| (action.id, action)).collect(),
        )
    }

    /// One action.
    pub(crate) fn get(&self, id: &str) -> Option<&'static ActionTruth> {
        self.0.get(id).copied()
    }

    /// All actions, in no order.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static ActionTruth> {
        self.0.values().copied()
    }
}

const fn row(
    id: &'static str,
    (kind, topic): (Kind, Topic),
    base: f64,
    loadings: &'static [(Latent, f64)],
    needs: &'static [Need],
    effect: Effect,
) -> ActionTruth {
    ActionTruth { id, kind, topic, base, loadings, needs, effect }
}

#[rustfmt::skip] // A table reads as a table.
const SERVE: &[ActionTruth] = &[
    row("fault_line_check", (Kind::Serve, T::Fault), -0.9, &[(L::Tech, 0.3)], &[N::About(M::Fault)], E::Solves(M::Fault, 0.3)),
    row("fault_router_restart", (Kind::Serve, T::Fault), -1.7, &[(L::Patience, 0.5)], &[N::About(M::Fault), N::Has(P::Fibre)], E::Solves(M::Fault, 0.4)),
    row("fault_technician", (Kind::Serve, T::Fault), -1.1, &[(L::Tech, -0.6)], &[N::Open(M::Fault), N::Has(P::Fibre)], E::Solves(M::Fault, 0.6)),
    row("fault_data_gift", (Kind::Serve, T::Fault), -0.5, &[(L::Leisure, 0.4)], &[N::Open(M::Fault), N::Has(P::Mobile)], E::None),
    row("bill_explain", (Kind::Serve, T::Billing), -0.9, &[(L::Price, 0.4)], &[], E::Solves(M::Billing, 0.6)),
    row("bill_due_date", (Kind::Serve, T::Billing), -2.0, &[(L::Prudence, -0.4)], &[], E::None),
    row("bill_payment_plan", (Kind::Serve, T::Billing), -1.2, &[(L::Prudence, -0.5)], &[N::InArrears], E::None),
    row("bill_correct", (Kind::Serve, T::Billing), -0.8, &[(L::Price, 0.5)], &[N::Open(M::Billing)], E::Solves(M::Billing, 0.7)),
    row("order_track", (Kind::Serve, T::Order), -0.1, &[(L::Patience, -0.3)], &[N::Open(M::Order)], E::None),
    row("order_redeliver", (Kind::Serve, T::Order), -1.8, &[], &[N::Open(M::Order)], E::None),
    row("complaint_progress", (Kind::Serve, T::Complaint), -0.6, &[(L::Patience, -0.3)], &[N::Open(M::Complaint)], E::Solves(M::Complaint, 0.2)),
    row("account_password", (Kind::Serve, T::Account), -2.6, &[(L::Tech, -0.3)], &[], E::None),
    row("plan_check", (Kind::Serve, T::Mobile), -1.7, &[(L::Price, 0.9)], &[N::Has(P::Mobile)], E::Upgrades(-3.0)),
    row("move_checklist", (Kind::Serve, T::Move), -0.7, &[(L::Prudence, 0.2)], &[N::About(M::Move)], E::None),
    row("insurance_claim", (Kind::Serve, T::Insurance), -2.0, &[], &[N::Has(P::Insurance)], E::None),
    row("card_lock", (Kind::Serve, T::Credit), -2.4, &[(L::Prudence, 0.4)], &[N::Has(P::CreditCard)], E::None),
];

#[rustfmt::skip] // A table reads as a table.
const INFORM: &[ActionTruth] = &[
    row("fault_area_outage", (Kind::Inform, T::Fault), -0.9, &[(L::Patience, 0.4)], &[N::About(M::Fault), N::Has(P::Fibre)], E::None),
    row("fault_repair_status", (Kind::Inform, T::Fault), -0.7, &[(L::Patience, -0.3)], &[N::Open(M::Fault)], E::None),
    row("bill_ready", (Kind::Inform, T::Billing), -1.7, &[(L::Price, 0.3)], &[], E::None),
    row("order_delay", (Kind::Inform, T::Order), -1.0, &[(L::Patience, 0.6)], &[N::Open(M::Order)], E::None),
    row("data_usage_alert", (Kind::Inform, T::Mobile), -0.9, &[(L::Price, 0.4)], &[N::UsesData], E::None),
    row("roaming_info", (Kind::Inform, T::Mobile), -2.2, &[(L::Leisure, 0.4)], &[N::Has(P::Mobile)], E::None),
    row("speed_tips", (Kind::Inform, T::Fibre), -1.6, &[(L::Tech, 0.5)], &[N::Has(P::Fibre)], E::None),
    row("app_intro", (Kind::Inform, T::Account), -1.9, &[(L::Tech, 0.7)], &[N::NoApp], E::OpensApp),
    row("scam_warning", (Kind::Inform, T::Account), -1.3, &[(L::Prudence, 0.8), (L::Tech, -0.4)], &[], E::None),
    row("savings_rate_news", (Kind::Inform, T::Savings), -1.0, &[], &[N::Has(P::Savings)], E::None),
    row("card_statement_tip", (Kind::Inform, T::Credit), -1.7, &[(L::Prudence, 0.6)], &[N::Has(P::CreditCard)], E::None),
    row("insurance_cover_summary", (Kind::Inform, T::Insurance), -1.9, &[], &[N::Has(P::Insurance)], E::None),
    row("tv_guide_tip", (Kind::Inform, T::Tv), -0.9, &[(L::Leisure, 0.5)], &[N::Has(P::Tv)], E::None),
    row("device_care_tip", (Kind::Inform, T::Devices), -2.3, &[(L::Price, 0.5)], &[], E::None),
    row("move_day_reminder", (Kind::Inform, T::Move), -0.9, &[], &[N::About(M::Move)], E::None),
];

#[rustfmt::skip] // A table reads as a table.
const ASK: &[ActionTruth] = &[
    row("ask_recommend", (Kind::Ask, T::Feedback), -2.1, &[(L::Loyalty, 0.6)], &[], E::Answers),
    row("ask_visit_rating", (Kind::Ask, T::Feedback), -1.6, &[(L::Patience, 0.5)], &[], E::None),
    row("ask_repair_rating", (Kind::Ask, T::Fault), -1.2, &[(L::Patience, -0.2)], &[N::Has(P::Fibre)], E::None),
    row("ask_contact_details", (Kind::Ask, T::Account), -1.7, &[(L::Prudence, 0.4)], &[], E::None),
    row("ask_paperless", (Kind::Ask, T::Billing), -1.1, &[(L::Tech, 0.7)], &[], E::None),
    row("ask_tv_taste", (Kind::Ask, T::Tv), -1.8, &[(L::Leisure, 0.4)], &[N::Has(P::Tv)], E::None),
    row("ask_household", (Kind::Ask, T::Fibre), -2.6, &[], &[N::Has(P::Fibre)], E::None),
    row("ask_address_proof", (Kind::Ask, T::Move), -1.6, &[(L::Patience, 0.4)], &[N::Open(M::Move)], E::None),
    row("ask_offer_consent", (Kind::Ask, T::Account), -2.4, &[(L::Price, 0.5)], &[], E::None),
];

#[rustfmt::skip] // A table reads as a table.
const ROUTE: &[ActionTruth] = &[
    row("route_field_service", (Kind::Route, T::Fault), -0.9, &[(L::Tech, -0.5)], &[N::Open(M::Fault)], E::Solves(M::Fault, 0.5)),
    row("route_video_help", (Kind::Route, T::Fault), -2.3, &[(L::Tech, 0.7)], &[N::About(M::Fault)], E::Solves(M::Fault, 0.4)),
    row("route_complaint_team", (Kind::Route, T::Complaint), -0.8, &[(L::Patience, -0.5)], &[N::About(M::Complaint)], E::Solves(M::Complaint, 0.5)),
    row("route_billing_expert", (Kind::Route, T::Billing), -2.2, &[(L::Tech, -0.5)], &[N::About(M::Billing)], E::Solves(M::Billing, 0.6)),
    row("route_shop_visit", (Kind::Route, T::Devices), -2.6, &[(L::Tech, -0.3)], &[], E::None),
    row("route_bank_advisor", (Kind::Route, T::Savings), -2.7, &[(L::Prudence, 0.6)], &[], E::None),
    row("route_moving_desk", (Kind::Route, T::Move), -0.9, &[(L::Tech, -0.5)], &[N::About(M::Move)], E::None),
    row("route_callback", (Kind::Route, T::Account), -2.8, &[(L::Patience, -0.4), (L::Tech, -0.5)], &[], E::None),
    row("route_loyalty_team", (Kind::Route, T::Account), -0.7, &[(L::Loyalty, 0.5)], &[N::Leaving], E::None),
];

#[rustfmt::skip] // A table reads as a table.
const RETAIN: &[ActionTruth] = &[
    row("keep_loyalty_discount", (Kind::Retain, T::Mobile), -1.6, &[(L::Price, 0.8)], &[N::Wavering, N::Has(P::Mobile)], E::Extends),
    row("keep_smaller_plan", (Kind::Retain, T::Mobile), -0.9, &[(L::Price, 0.9)], &[N::Wavering, N::Has(P::Mobile)], E::Extends),
    row("keep_speed_gift", (Kind::Retain, T::Fibre), -0.9, &[(L::Tech, 0.6)], &[N::Wavering, N::Has(P::Fibre)], E::Extends),
    row("keep_tv_months", (Kind::Retain, T::Tv), -1.7, &[(L::Leisure, 0.5)], &[N::Wavering, N::Has(P::Tv)], E::Extends),
    row("keep_device_swap", (Kind::Retain, T::Devices), -1.2, &[(L::Tech, 0.8)], &[N::Wavering, N::Has(P::Mobile)], E::Extends),
    row("keep_apology_credit", (Kind::Retain, T::Complaint), -0.3, &[(L::Price, 0.4)], &[N::Open(M::Complaint)], E::Solves(M::Complaint, 0.6)),
    row("keep_pause", (Kind::Retain, T::Account), -2.0, &[(L::Price, 0.5)], &[N::Wavering], E::Extends),
    row("keep_savings_bonus", (Kind::Retain, T::Savings), -1.3, &[(L::Prudence, 0.5)], &[N::Wavering, N::Has(P::Savings)], E::Extends),
];

#[rustfmt::skip] // A table reads as a table.
const SELL: &[ActionTruth] = &[
    row("sell_fibre_start", (Kind::Sell, T::Fibre), -1.6, &[(L::Price, -0.3)], &[N::Lacks(P::Fibre)], E::Takes(P::Fibre, 34.9)),
    row("sell_fibre_fast", (Kind::Sell, T::Fibre), -2.2, &[(L::Tech, 0.6), (L::Price, -0.6)], &[N::Has(P::Fibre), N::SpendsBelow(110.0)], E::Upgrades(12.0)),
    row("sell_wifi_mesh", (Kind::Sell, T::Fibre), -1.6, &[(L::Tech, -0.3), (L::Price, -0.3)], &[N::Has(P::Fibre)], E::Upgrades(5.0)),
    row("sell_mobile_start", (Kind::Sell, T::Mobile), -2.1, &[], &[N::Lacks(P::Mobile)], E::Takes(P::Mobile, 14.9)),
    row("sell_mobile_unlimited", (Kind::Sell, T::Mobile), -1.7, &[(L::Leisure, 0.5), (L::Price, -0.9)], &[N::UsesData], E::Upgrades(9.0)),
    row("sell_data_pack", (Kind::Sell, T::Mobile), -1.1, &[(L::Leisure, 0.6)], &[N::UsesData], E::Upgrades(0.0)),
    row("sell_second_sim", (Kind::Sell, T::Mobile), -2.3, &[(L::Leisure, 0.3)], &[N::Has(P::Mobile)], E::Upgrades(7.0)),
    row("sell_tv_start", (Kind::Sell, T::Tv), -1.8, &[(L::Price, -0.3)], &[N::Has(P::Fibre), N::Lacks(P::Tv)], E::Takes(P::Tv, 10.0)),
    row("sell_tv_sports", (Kind::Sell, T::Tv), -2.4, &[(L::Price, -0.5), (L::Tech, 0.3)], &[N::Has(P::Tv)], E::Upgrades(15.0)),
    row("sell_tv_cinema", (Kind::Sell, T::Tv), -1.5, &[(L::Price, -0.2)], &[N::Has(P::Tv)], E::Upgrades(7.0)),
    row("sell_phone_upgrade", (Kind::Sell, T::Devices), -2.3, &[(L::Price, -0.5), (L::Tech, 0.3)], &[N::Has(P::Mobile)], E::Orders(499.0)),
    row("sell_tablet", (Kind::Sell, T::Devices), -2.4, &[(L::Leisure, 0.5)], &[], E::Orders(299.0)),
    row("sell_smartwatch", (Kind::Sell, T::Devices), -1.9, &[(L::Tech, 0.4)], &[N::Has(P::Mobile)], E::Orders(249.0)),
    row("sell_device_insurance", (Kind::Sell, T::Insurance), -2.3, &[(L::Tech, 0.3)], &[N::Lacks(P::Insurance)], E::Takes(P::Insurance, 6.0)),
    row("sell_home_insurance", (Kind::Sell, T::Insurance), -1.9, &[(L::Leisure, 0.3)], &[N::Lacks(P::Insurance)], E::Takes(P::Insurance, 9.0)),
    row("sell_travel_insurance", (Kind::Sell, T::Insurance), -2.6, &[(L::Leisure, 0.4)], &[N::Lacks(P::Insurance)], E::Takes(P::Insurance, 4.0)),
    row("sell_credit_card", (Kind::Sell, T::Credit), -2.3, &[(L::Price, 0.3)], &[N::Lacks(P::CreditCard)], E::Takes(P::CreditCard, 0.0)),
    row("sell_instalment_plan", (Kind::Sell, T::Credit), -1.8, &[(L::Prudence, -0.4)], &[], E::Upgrades(0.0)),
    row("sell_savings_start", (Kind::Sell, T::Savings), -1.6, &[(L::Loyalty, 0.3)], &[N::Lacks(P::Savings)], E::Takes(P::Savings, 0.0)),
    row("sell_partner_energy", (Kind::Sell, T::Account), -2.6, &[(L::Price, 0.6)], &[], E::Upgrades(0.0)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_say_what_they_are() {
        let source = Source::new();
        let rows = [SERVE, INFORM, ASK, ROUTE, RETAIN, SELL].map(<[ActionTruth]>::len).iter().sum::<usize>();
        assert_eq!(source.iter().count(), rows);
        for action in source.iter() {
            assert!((-4.0..0.5).contains(&action.base), "{}", action.id);
            assert_eq!(action.kind == Kind::Sell, action.id.starts_with("sell_"));
            assert_eq!(action.kind == Kind::Retain, action.id.starts_with("keep_"));
        }
    }

    #[test]
    fn whoever_sells_changes_something() {
        for action in SELL.iter().chain(RETAIN) {
            assert!(action.effect != Effect::None, "{} leaves no trace", action.id);
        }
    }
}
