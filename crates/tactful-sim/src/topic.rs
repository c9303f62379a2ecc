//! Topics, products and kinds of matters: the words that the catalogue and the world share.

/// What an action or a contact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Mobile,
    Fibre,
    Tv,
    Devices,
    Insurance,
    Credit,
    Savings,
    Billing,
    Fault,
    Complaint,
    Order,
    Move,
    Account,
    Feedback,
}

impl Topic {
    /// Topics that people look at because they might buy.
    pub(crate) const PRODUCTS: [Self; 7] =
        [Self::Mobile, Self::Fibre, Self::Tv, Self::Devices, Self::Insurance, Self::Credit, Self::Savings];

    /// All topics.
    pub(crate) const ALL: [Self; 14] = [
        Self::Mobile,
        Self::Fibre,
        Self::Tv,
        Self::Devices,
        Self::Insurance,
        Self::Credit,
        Self::Savings,
        Self::Billing,
        Self::Fault,
        Self::Complaint,
        Self::Order,
        Self::Move,
        Self::Account,
        Self::Feedback,
    ];

    /// Word in the catalogue.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::Fibre => "fibre",
            Self::Tv => "tv",
            Self::Devices => "devices",
            Self::Insurance => "insurance",
            Self::Credit => "credit",
            Self::Savings => "savings",
            Self::Billing => "billing",
            Self::Fault => "fault",
            Self::Complaint => "complaint",
            Self::Order => "order",
            Self::Move => "move",
            Self::Account => "account",
            Self::Feedback => "feedback",
        }
    }

    /// Family of products, as events of the shop system name it.
    pub(crate) fn family(self) -> &'static str {
        match self {
            Self::Credit | Self::Savings => "finance",
            Self::Insurance => "protection",
            Self::Devices => "hardware",
            _ => "connectivity",
        }
    }

    /// Page or screen on which people read about it.
    pub(crate) fn page(self) -> &'static str {
        match self {
            Self::Mobile => "Mobile",
            Self::Fibre => "Fibre",
            Self::Tv => "TV",
            Self::Devices => "Devices",
            Self::Insurance => "Insurance",
            Self::Credit => "Card",
            Self::Savings => "Savings",
            Self::Billing => "Bills",
            Self::Order => "Orders",
            Self::Account | Self::Feedback => "Account",
            Self::Fault | Self::Complaint | Self::Move => "Help",
        }
    }

    /// Range of the prices looked at, in euros.
    pub(crate) fn prices(self) -> (f64, f64) {
        match self {
            Self::Devices => (49.0, 1_199.0),
            Self::Fibre => (29.9, 69.9),
            Self::Mobile => (9.9, 49.9),
            Self::Tv => (7.0, 25.0),
            Self::Insurance => (2.0, 19.0),
            _ => (0.0, 10.0),
        }
    }
}

/// A product that a customer has or has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    Mobile,
    Fibre,
    Tv,
    Insurance,
    CreditCard,
    Savings,
}

impl Product {
    /// All products, in the order of their `index`.
    pub(crate) const ALL: [Self; 6] =
        [Self::Mobile, Self::Fibre, Self::Tv, Self::Insurance, Self::CreditCard, Self::Savings];

    /// Place in a customer's list of products.
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// Trait of the customer register.
    pub(crate) fn trait_name(self) -> &'static str {
        match self {
            Self::Mobile => "has_mobile",
            Self::Fibre => "has_fibre",
            Self::Tv => "has_tv",
            Self::Insurance => "has_insurance",
            Self::CreditCard => "has_credit_card",
            Self::Savings => "has_savings",
        }
    }
}

/// Type of a matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatterKind {
    Fault,
    Complaint,
    Order,
    Billing,
    Move,
}

impl MatterKind {
    /// Type in the catalogue.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::Complaint => "complaint",
            Self::Order => "order",
            Self::Billing => "billing_question",
            Self::Move => "move_house",
        }
    }

    /// Topic of contacts about it.
    pub(crate) fn topic(self) -> Topic {
        match self {
            Self::Fault => Topic::Fault,
            Self::Complaint => Topic::Complaint,
            Self::Order => Topic::Order,
            Self::Billing => Topic::Billing,
            Self::Move => Topic::Move,
        }
    }
}
