//! Evaluates expressions as far as the variables' values allow. See
//! [the language](https://developer.hashicorp.com/terraform/language/expressions).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use hcl::expr::{
    BinaryOp, Conditional, Expression, ForExpr, FuncCall, Operation, TemplateExpr, Traversal, UnaryOperator,
};
use hcl::template::{Directive, Element};
use hcl::{Body, ObjectKey, Template};
use serde_json::Value;

use super::evaluated::{Evaluated, MAX_TEXT};
use super::module::{Module, Use};
use super::{functions, operators};
use crate::model::{Parameter, Reference, Target};
use crate::value::{is_known, plain, truth};

/// The maximum depth of names that are looked up within each other, such as a local that uses a local. A cycle ends here.
const MAX_NESTED: u32 = 24;

/// The maximum depth of expressions, including those behind names.
const MAX_DEPTH: u32 = 100;

/// The maximum number of steps for the expressions of a module, against expressions that multiply themselves. Large modules
/// take some ten thousands.
const MAX_STEPS: u32 = 200_000;

/// Evaluates the expressions of one module.
pub(super) struct Evaluator<'a> {
    pub(super) module: &'a Module,
    pub(super) parameters: BTreeMap<String, Parameter>,
    /// The prefix of resource IDs: empty, or the path of module uses that leads here.
    pub(super) prefix: String,
    /// The module that uses this one, and the block of the use.
    pub(super) user: Option<(&'a Evaluator<'a>, &'a Body)>,
    effort: Rc<Effort>,
    /// The parameters in parts that conditions leave out. They still count as used.
    left_out: RefCell<Vec<Reference>>,
}

/// The work done so far, and the current depth.
#[derive(Default)]
struct Effort {
    nested: Cell<u32>,
    depth: Cell<u32>,
    steps: Cell<u32>,
}

/// Names that exist only in a part of an expression, such as those of a `for`.
pub(super) type Scope = BTreeMap<String, Evaluated>;

/// Evaluates an expression without references.
pub(super) fn constant(expression: &Expression) -> Evaluated {
    Evaluator::new(&Module::default(), BTreeMap::new()).evaluate(expression)
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(module: &'a Module, parameters: BTreeMap<String, Parameter>) -> Self {
        Self {
            module,
            parameters,
            prefix: String::new(),
            user: None,
            effort: Rc::default(),
            left_out: RefCell::default(),
        }
    }

    /// Returns the evaluator of a module that this one uses, with its parameters there.
    pub(super) fn inside(
        &'a self,
        name: &str,
        used: &'a Use,
        module: &'a Module,
        parameters: BTreeMap<String, Parameter>,
    ) -> Self {
        Self {
            module,
            parameters,
            prefix: format!("{}module.{name}.", self.prefix),
            user: Some((self, &used.block)),
            effort: Rc::clone(&self.effort),
            left_out: RefCell::default(),
        }
    }

    pub(super) fn evaluate(&self, expression: &Expression) -> Evaluated {
        self.within(expression, &Scope::new())
    }

    /// Returns all references in a block and in the blocks inside it.
    pub(super) fn references(&self, body: &Body) -> Vec<Reference> {
        let own = body.attributes().flat_map(|attribute| self.evaluate(&attribute.expr).references);
        own.chain(body.blocks().flat_map(|block| self.references(&block.body))).collect()
    }

    /// Returns the parameters in the parts that conditions have left out so far.
    pub(super) fn left_out(&self) -> Vec<Reference> {
        self.left_out.borrow().clone()
    }

    /// Evaluates the value behind a name. `None` if the nesting is too deep.
    pub(super) fn nested(&self, look: impl FnOnce() -> Evaluated) -> Option<Evaluated> {
        one_deeper(&self.effort.nested, MAX_NESTED, look)
    }

    fn is_exhausted(&self) -> bool {
        self.effort.steps.get() >= MAX_STEPS
    }

    pub(super) fn within(&self, expression: &Expression, scope: &Scope) -> Evaluated {
        if self.is_exhausted() {
            return Evaluated::unknown("too_long", &[]);
        }
        self.effort.steps.set(self.effort.steps.get() + 1);
        one_deeper(&self.effort.depth, MAX_DEPTH, || self.step(expression, scope))
            .unwrap_or_else(|| Evaluated::unknown("too_deep", &[]))
    }

    fn step(&self, expression: &Expression, scope: &Scope) -> Evaluated {
        match expression {
            Expression::Null => Evaluated::default(),
            Expression::Bool(truth) => Evaluated::known(*truth),
            Expression::Number(number) => Evaluated::known(to_number(number)),
            Expression::String(text) => Evaluated::known(text.as_str()),
            Expression::Array(items) => Evaluated::array(items.iter().map(|item| self.within(item, scope))),
            Expression::Object(entries) => Evaluated::object(
                entries.iter().map(|(key, entry)| (self.key(key, scope), self.within(entry, scope))),
            ),
            Expression::TemplateExpr(template) => self.template_expression(template, scope),
            Expression::Variable(name) => {
                scope.get(name.as_str()).cloned().unwrap_or_else(|| Evaluated::unknown(name.as_str(), &[]))
            }
            Expression::Traversal(traversal) => self.traversal(traversal, scope),
            Expression::FuncCall(call) => self.call(call, scope),
            Expression::Parenthesis(inner) => self.within(inner, scope),
            Expression::Conditional(conditional) => self.conditional(conditional, scope),
            Expression::Operation(operation) => self.operation(operation, scope),
            Expression::ForExpr(each) => self.for_each(each, scope),
            _ => Evaluated::unknown("expression", &[]),
        }
    }

    fn key(&self, key: &ObjectKey, scope: &Scope) -> String {
        match key {
            ObjectKey::Identifier(name) => name.to_string(),
            ObjectKey::Expression(expression) => plain(&self.within(expression, scope).value),
            _ => String::new(),
        }
    }

    fn template_expression(&self, template: &TemplateExpr, scope: &Scope) -> Evaluated {
        match Template::from_expr(template) {
            Ok(template) => self.template(&template, scope),
            Err(_) => Evaluated::unknown("template", &[]),
        }
    }

    fn template(&self, template: &Template, scope: &Scope) -> Evaluated {
        // A text that is only an interpolation is the interpolated value.
        if let [Element::Interpolation(only)] = template.elements() {
            return self.within(&only.expr, scope);
        }
        let mut text = String::new();
        let mut parts = Vec::new();
        for element in template.elements() {
            let part = match element {
                Element::Literal(literal) => Evaluated::known(literal.as_str()),
                Element::Interpolation(interpolation) => self.within(&interpolation.expr, scope),
                Element::Directive(directive) => self.directive(directive, scope),
            };
            text.push_str(&plain(&part.value));
            parts.push(part);
            if text.len() > MAX_TEXT {
                return Evaluated::unknown("too_long", &parts);
            }
        }
        Evaluated::made_of(text, &parts)
    }

    fn directive(&self, directive: &Directive, scope: &Scope) -> Evaluated {
        let Directive::If(choice) = directive else { return Evaluated::unknown("template_for", &[]) };
        let condition = self.within(&choice.cond_expr, scope);
        let then = self.template(&choice.true_template, scope);
        let otherwise = choice.false_template.as_ref().map(|template| self.template(template, scope));
        let otherwise = otherwise.unwrap_or_else(|| Evaluated::known(""));
        match truth(&condition.value) {
            Some(true) => then.and_made_of(&[condition]),
            Some(false) => otherwise.and_made_of(&[condition]),
            None => Evaluated::unknown("if", &[condition, then, otherwise]),
        }
    }

    fn traversal(&self, traversal: &Traversal, scope: &Scope) -> Evaluated {
        if let Expression::Variable(root) = &traversal.expr
            && !scope.contains_key(root.as_str())
        {
            return self.named(root.as_str(), &traversal.operators, scope);
        }
        let from = self.within(&traversal.expr, scope);
        operators::apply(from, &traversal.operators, &|index| self.within(index, scope))
    }

    fn call(&self, call: &FuncCall, scope: &Scope) -> Evaluated {
        let name = call.name.name.as_str();
        let arguments: Vec<Evaluated> =
            call.args.iter().map(|argument| self.within(argument, scope)).collect();
        if call.expand_final || call.name.is_namespaced() {
            return Evaluated::unknown(name, &arguments);
        }
        functions::call(name, &arguments)
    }

    fn conditional(&self, conditional: &Conditional, scope: &Scope) -> Evaluated {
        let condition = self.within(&conditional.cond_expr, scope);
        let then = self.within(&conditional.true_expr, scope);
        let otherwise = self.within(&conditional.false_expr, scope);
        let (taken, other) = match truth(&condition.value) {
            Some(true) => (then, otherwise),
            Some(false) => (otherwise, then),
            None => return Evaluated::unknown("if", &[condition, then, otherwise]),
        };
        self.leave_out(&other);
        taken.and_made_of(&[condition])
    }

    /// Records the parameters of a part that is left out.
    fn leave_out(&self, part: &Evaluated) {
        let parameters =
            part.references.iter().filter(|reference| matches!(reference.to, Target::Parameter(_)));
        self.left_out.borrow_mut().extend(parameters.cloned());
    }

    fn operation(&self, operation: &Operation, scope: &Scope) -> Evaluated {
        match operation {
            Operation::Unary(operation) => {
                let of = self.within(&operation.expr, scope);
                let value = match operation.operator {
                    UnaryOperator::Not => truth(&of.value).map(|truth| Value::from(!truth)),
                    UnaryOperator::Neg => operators::negated(&of.value),
                };
                let parts = [of];
                value.map_or_else(
                    || Evaluated::unknown("operation", &parts),
                    |value| Evaluated::made_of(value, &parts),
                )
            }
            Operation::Binary(operation) => self.binary(operation, scope),
        }
    }

    fn binary(&self, operation: &BinaryOp, scope: &Scope) -> Evaluated {
        let (left, right) =
            (self.within(&operation.lhs_expr, scope), self.within(&operation.rhs_expr, scope));
        let known = is_known(&left.value) && is_known(&right.value);
        let value = known.then(|| operators::binary(operation.operator, &left.value, &right.value)).flatten();
        let parts = [left, right];
        value.map_or_else(
            || Evaluated::unknown("operation", &parts),
            |value| Evaluated::made_of(value, &parts),
        )
    }

    fn for_each(&self, each: &ForExpr, scope: &Scope) -> Evaluated {
        let collection = self.within(&each.collection_expr, scope);
        if !(collection.value.is_array() || collection.value.is_object()) {
            return Evaluated::unknown("for", &[collection]);
        }
        let positions = |items: Vec<Evaluated>| {
            items.into_iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect()
        };
        let entries: Vec<(String, Evaluated)> =
            if collection.value.is_array() { positions(collection.items()) } else { collection.entries() };
        let mut items = Vec::new();
        for (key, item) in entries {
            if self.is_exhausted() {
                return Evaluated::unknown("too_long", &[collection]);
            }
            let mut scope = scope.clone();
            if let Some(name) = &each.key_var {
                scope.insert(name.to_string(), Evaluated::known(key));
            }
            scope.insert(each.value_var.to_string(), item);
            let condition = each.cond_expr.as_ref().map(|condition| self.within(condition, &scope));
            match condition.as_ref().map_or(Some(true), |condition| truth(&condition.value)) {
                Some(true) => {}
                Some(false) => {
                    if let Some(condition) = &condition {
                        self.leave_out(condition);
                    }
                    self.leave_out(&self.within(&each.value_expr, &scope));
                    continue;
                }
                None => return Evaluated::unknown("for", &[collection]),
            }
            let key = each.key_expr.as_ref().map(|key| plain(&self.within(key, &scope).value));
            items.push((key, self.within(&each.value_expr, &scope)));
        }
        match (&each.key_expr, each.grouping) {
            (Some(_), true) => Evaluated::unknown("for", &[collection]),
            (Some(_), false) => {
                Evaluated::object(items.into_iter().map(|(key, item)| (key.unwrap_or_default(), item)))
            }
            (None, _) => Evaluated::array(items.into_iter().map(|(_, item)| item)),
        }
    }
}

fn one_deeper<T>(depth: &Cell<u32>, limit: u32, look: impl FnOnce() -> T) -> Option<T> {
    if depth.get() >= limit {
        return None;
    }
    depth.set(depth.get() + 1);
    let found = look();
    depth.set(depth.get() - 1);
    Some(found)
}

/// Returns an integer if the number is one: `5.0` would appear like that in texts built from it.
fn to_number(number: &hcl::Number) -> Value {
    number.as_i64().map_or_else(|| number.as_f64().map_or(Value::Null, Value::from), Value::from)
}
