//! The deliveries in hand, by their ids.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::core::delivery::Delivery;
use crate::core::ids::DeliveryId;

/// The deliveries in hand. Each is looked up some twenty times on its way, hence the hash map; each is boxed, because the map
/// moves its entries about. What happens to several at once happens in the order of their receipt: [`ids`](Self::ids).
#[derive(Debug, Default)]
pub(super) struct Deliveries(HashMap<DeliveryId, Box<Delivery>, RandomState>);

impl Deliveries {
    pub(super) fn insert(&mut self, id: DeliveryId, delivery: Box<Delivery>) {
        self.0.insert(id, delivery);
    }

    pub(super) fn remove(&mut self, id: DeliveryId) -> Option<Box<Delivery>> {
        self.0.remove(&id)
    }

    pub(super) fn get(&self, id: DeliveryId) -> Option<&Delivery> {
        self.0.get(&id).map(|delivery| &**delivery)
    }

    pub(super) fn get_mut(&mut self, id: DeliveryId) -> Option<&mut Delivery> {
        self.0.get_mut(&id).map(|delivery| &mut **delivery)
    }

    pub(super) fn contains(&self, id: DeliveryId) -> bool {
        self.0.contains_key(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the deliveries that fulfil a condition, in the order of their receipt.
    pub(super) fn ids(&self, fulfils: impl Fn(DeliveryId, &Delivery) -> bool) -> Vec<DeliveryId> {
        let mut ids: Vec<_> = self.iter().filter(|(id, d)| fulfils(*id, d)).map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    /// Returns all of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (DeliveryId, &Delivery)> {
        self.0.iter().map(|(id, delivery)| (*id, &**delivery))
    }

    /// Returns all of them without their ids, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = &Delivery> {
        self.0.values().map(|delivery| &**delivery)
    }

    /// Returns all of them to change, in no order.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Delivery> {
        self.0.values_mut().map(|delivery| &mut **delivery)
    }
}
