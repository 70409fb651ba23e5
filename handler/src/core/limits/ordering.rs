//! Rules and orders that change while jobs run.

use std::collections::HashMap;
use std::sync::Arc;

use super::operator::TypeOrders;
use super::process::Limits;
use super::rules::TypeRules;
use super::shared::State;
use super::type_state::TypeState;

impl Limits {
    /// Sets an operator's orders for a type, in place of the earlier ones. Running jobs continue; those that started while
    /// their type was not limited are not counted.
    pub fn set_orders(&self, job_type: &str, orders: TypeOrders) {
        let mut state = self.state();
        let State { rules, types, shares_rates, .. } = &mut *state;
        let rules = rules.types.get(job_type).cloned().unwrap_or_default();
        match types.get_mut(job_type) {
            Some(of_type) => of_type.set_orders(&rules, orders),
            None if orders == TypeOrders::default() => return,
            None => {
                let mut of_type = TypeState::new(rules.clone(), *shares_rates);
                of_type.set_orders(&rules, orders);
                types.insert(job_type.into(), of_type);
            }
        }
        drop(state);
        self.0.rules_changed();
    }

    /// Returns the current orders, in the order of the types' names.
    pub fn orders(&self) -> Vec<(Arc<str>, TypeOrders)> {
        let state = self.state();
        let orders = state.types.iter().map(|(name, of_type)| (Arc::clone(name), of_type.orders().clone()));
        let mut orders: Vec<_> = orders.filter(|(_, orders)| *orders != TypeOrders::default()).collect();
        orders.sort_by(|(one, _), (other, _)| one.cmp(other));
        orders
    }

    /// Replaces the rules of all types, for example after a change of the settings. Orders and running jobs do not change.
    pub fn set_rules(&self, new: HashMap<String, TypeRules>) {
        let mut state = self.state();
        let State { rules, types, shares_rates, .. } = &mut *state;
        rules.types = new;
        for name in rules.types.keys().filter(|name| !types.contains_key(name.as_str())).collect::<Vec<_>>() {
            types.insert(name.as_str().into(), TypeState::new(TypeRules::default(), *shares_rates));
        }
        for (name, of_type) in types.iter_mut() {
            of_type.set_rules(&rules.types.get(&**name).cloned().unwrap_or_default());
        }
        drop(state);
        self.0.rules_changed();
    }
}
