//! What can be seen of a visit: pages, looks at products, calls, reports of faults, use of the line.

use rand::Rng;
use tactful_proto::v1::{self, EventType};

use super::World;
use crate::errand::{Channel, Errand};
use crate::events::{Details, number, text};
use crate::matters;
use crate::persona::{Latent, weighted};
use crate::topic::{MatterKind, Product, Topic};
use crate::visit::Visit;

impl World {
    /// The events of one step of a customer's visit.
    pub(super) fn happenings(&mut self, index: usize, arrives: bool, at_ms: i64) -> Vec<v1::Event> {
        let Some(visit) = self.customers[index].visit.clone() else { return Vec::new() };
        let mut events = Vec::new();
        if arrives {
            events.extend(self.background(index, at_ms));
            events.extend(self.arrival(index, &visit, at_ms));
            events.extend(self.matter_events(index, &visit, at_ms));
        }
        events.extend(self.page(index, &visit, at_ms));
        events.extend(self.looks(index, &visit, at_ms));
        events.extend(self.purchase(index, &visit, at_ms));
        events
    }

    /// What the network and the books noticed since the last visit.
    fn background(&mut self, index: usize, at_ms: i64) -> Vec<v1::Event> {
        let customer = &mut self.customers[index];
        let fault = customer.is_open(MatterKind::Fault);
        let mut found = Vec::new();
        if customer.has(Product::Mobile) && customer.rng.gen_bool(0.6) {
            let gb = customer.data_appetite * customer.rng.gen_range(0.5..1.5);
            found.push(("Data Used", "network", "gb", (gb * 100.0).round() / 100.0));
        }
        if customer.has(Product::Fibre) && customer.rng.gen_bool(0.3) {
            let speed: f64 =
                if fault { customer.rng.gen_range(1.0..15.0) } else { customer.rng.gen_range(40.0..240.0) };
            found.push(("Speed Measured", "network", "mbit_per_s", speed.round()));
        }
        let careless = 0.012 * (1.0 - customer.persona.of(Latent::Prudence)).clamp(0.0, 2.5);
        if customer.rng.gen_bool(careless) {
            customer.payments_missed += 1;
            found.push(("Payment Missed", "billing", "amount", customer.monthly_spend));
        }
        if customer.rng.gen_bool(0.03) {
            found.push(("Survey Answered", "survey", "score", customer.score()));
        }
        let mut events = Vec::new();
        for (name, source, key, value) in found {
            let details = Details { source, properties: vec![(key, number(value))], ..Details::default() };
            events.push(self.ids.event(&mut self.customers[index], EventType::Track, name, at_ms, details));
        }
        events
    }

    /// How the visit begins.
    fn arrival(&mut self, index: usize, visit: &Visit, at_ms: i64) -> Option<v1::Event> {
        let name = match visit.channel {
            Channel::Agent | Channel::Voice => "Call Started",
            Channel::Bot => "Question Asked",
            Channel::Shop => "Shop Visited",
            Channel::Email => "Email Opened",
            Channel::Web | Channel::App => return None,
        };
        let properties = vec![("topic", text(visit.topic.name())), ("intent", text(visit.errand.name()))];
        Some(self.tracked(index, visit, name, at_ms, properties))
    }

    /// Opens or chases the matter that the visit is about.
    fn matter_events(&mut self, index: usize, visit: &Visit, at_ms: i64) -> Option<v1::Event> {
        let kind = visit.matter_kind()?;
        let customer = &mut self.customers[index];
        if customer.is_open(kind) {
            return Some(self.matter_event(index, visit, kind, matters::chasing(kind), at_ms));
        }
        // Not every look at a bill questions it, and orders are placed by buying.
        let opens = match kind {
            MatterKind::Fault | MatterKind::Complaint | MatterKind::Move => true,
            MatterKind::Billing => customer.rng.gen_bool(0.4),
            MatterKind::Order => false,
        };
        opens.then(|| self.open_matter(index, kind, at_ms, visit.channel))
    }

    /// Opens a matter and plans what the company does about it.
    pub(super) fn open_matter(&mut self, index: usize, kind: MatterKind, at_ms: i64, channel: Channel) -> v1::Event {
        let customer = &mut self.customers[index];
        let id = format!("{}-{}", kind.name(), self.ids.next(customer));
        let matter = matters::open(customer, kind, id);
        self.agenda.plan_course(index, &matter, at_ms, &mut customer.rng);
        let details =
            Details { channel: channel.name(), source: channel.source(), matter_id: matter.id, ..Details::default() };
        self.ids.event(customer, EventType::Track, matters::opening(kind), at_ms, details)
    }

    fn matter_event(
        &mut self,
        index: usize,
        visit: &Visit,
        kind: MatterKind,
        name: &'static str,
        at_ms: i64,
    ) -> v1::Event {
        let mut event = self.tracked(index, visit, name, at_ms, Vec::new());
        if let Some(matter) = self.customers[index].matter(kind) {
            event.matter_id = matter.id.clone();
        }
        event
    }

    fn page(&mut self, index: usize, visit: &Visit, at_ms: i64) -> Option<v1::Event> {
        let kind = match visit.channel {
            Channel::Web => EventType::Page,
            Channel::App => EventType::Screen,
            _ => return None,
        };
        let customer = &mut self.customers[index];
        customer.uses_app |= visit.channel == Channel::App;
        let details = Details { channel: visit.channel.name(), source: visit.channel.source(), ..Details::default() };
        Some(self.ids.event(customer, kind, visit.topic.page(), at_ms, details))
    }

    /// Looks at products: the one that the visit is about, and now and then what appeals most.
    fn looks(&mut self, index: usize, visit: &Visit, at_ms: i64) -> Vec<v1::Event> {
        let shows = matches!(visit.channel, Channel::Web | Channel::App | Channel::Shop | Channel::Bot);
        let shopping = matches!(visit.errand, Errand::Browse | Errand::Buy);
        let customer = &mut self.customers[index];
        let mut topics = Vec::new();
        if shopping && shows {
            topics.push(visit.topic);
        }
        if shows && customer.rng.gen_bool(if shopping { 0.5 } else { 0.15 }) {
            let weights = Topic::PRODUCTS.map(|topic| (1.2 * customer.persona.interest(topic)).exp());
            topics.push(Topic::PRODUCTS[weighted(&mut customer.rng, &weights)]);
        }
        let mut events = Vec::new();
        for topic in topics {
            let (least, most) = topic.prices();
            // Who minds every euro looks at the cheap end.
            let taste = (0.5 - 0.2 * self.customers[index].persona.of(Latent::Price)).clamp(0.05, 0.95);
            let share = (taste + self.customers[index].rng.gen_range(-0.2..0.2)).clamp(0.0, 1.0);
            let price = ((least + share * (most - least)) * 10.0).round() / 10.0;
            let properties =
                vec![("topic", text(topic.name())), ("family", text(topic.family())), ("price", number(price))];
            events.push(self.tracked(index, visit, "Product Viewed", at_ms, properties));
        }
        events
    }

    /// Who came to buy a device may order it unasked at the end of the visit.
    fn purchase(&mut self, index: usize, visit: &Visit, at_ms: i64) -> Vec<v1::Event> {
        let came_for_it = visit.errand == Errand::Buy && visit.topic == Topic::Devices && visit.is_last_step();
        if !came_for_it || !self.customers[index].rng.gen_bool(0.2) {
            return Vec::new();
        }
        let properties = vec![("product", text(visit.topic.name())), ("price", number(visit.basket))];
        let activated = self.tracked(index, visit, "Product Activated", at_ms, properties);
        vec![activated, self.open_matter(index, MatterKind::Order, at_ms, visit.channel)]
    }

    /// A tracked event in the channel of a visit.
    pub(super) fn tracked(
        &mut self,
        index: usize,
        visit: &Visit,
        name: &str,
        at_ms: i64,
        properties: Vec<(&'static str, v1::Value)>,
    ) -> v1::Event {
        let (channel, source) = (visit.channel.name(), visit.channel.source());
        let details = Details { channel, source, matter_id: String::new(), properties };
        self.ids.event(&mut self.customers[index], EventType::Track, name, at_ms, details)
    }
}
