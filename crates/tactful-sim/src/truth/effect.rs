//! When an action fits a customer, and what accepting it does to the world.

use crate::customer::Customer;
use crate::errand::Errand;
use crate::topic::{MatterKind, Product};

/// What must be so for an action to fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Need {
    /// The customer has a product.
    Has(Product),
    /// The customer lacks a product.
    Lacks(Product),
    /// A matter of this kind is open.
    Open(MatterKind),
    /// A matter of this kind is open, or the contact is about it.
    About(MatterKind),
    /// The customer is leaving, may leave soon, or is dissatisfied.
    Wavering,
    /// The customer says that they want to leave.
    Leaving,
    /// The customer has not used the app.
    NoApp,
    /// The customer uses much mobile data.
    UsesData,
    /// The customer has missed a payment.
    InArrears,
    /// The customer pays less than this a month, in euros.
    SpendsBelow(f64),
}

/// What accepting does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Nothing that anybody sees.
    None,
    /// The customer has a product from now on; monthly price in euros.
    Takes(Product, f64),
    /// The customer pays that much more a month for more of the same.
    Upgrades(f64),
    /// The customer orders a thing at this price, and it has to be delivered.
    Orders(f64),
    /// The contract runs for two more years.
    Extends,
    /// A matter of this kind is solved with this probability.
    Solves(MatterKind, f64),
    /// The customer answers a survey.
    Answers,
    /// The customer uses the app from now on.
    OpensApp,
}

impl Need {
    /// Whether it is so for this customer now.
    pub(crate) fn holds(self, customer: &Customer) -> bool {
        match self {
            Self::Has(product) => customer.has(product),
            Self::Lacks(product) => !customer.has(product),
            Self::Open(kind) => customer.is_open(kind),
            Self::About(kind) => {
                customer.is_open(kind) || customer.visit.as_ref().is_some_and(|visit| visit.topic == kind.topic())
            }
            Self::Wavering => Self::Leaving.holds(customer) || customer.contract_months_left <= 3.0 || customer.unhappy,
            Self::Leaving => customer.visit.as_ref().is_some_and(|visit| visit.errand == Errand::Cancel),
            Self::NoApp => !customer.uses_app,
            Self::UsesData => customer.has(Product::Mobile) && customer.data_appetite > 1.0,
            Self::InArrears => customer.payments_missed > 0,
            Self::SpendsBelow(euros) => customer.monthly_spend < euros,
        }
    }
}
