//! GitHub's expression language, as far as the workflows use it: literals, properties, `.*`,
//! `!`, `==`, `!=`, `&&`, `||`, parentheses, `contains`, and templates.
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/expressions>

use serde_json::{Value, json};

/// The value of an expression without `${{ }}`.
pub(crate) fn evaluate(text: &str, contexts: &Value) -> Value {
    let tokens = tokens(text);
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        contexts,
    };
    let value = parser.or();
    assert_eq!(parser.at, tokens.len(), "`{text}` has a rest");
    value
}

/// A text with `${{ expressions }}` in it.
pub(crate) fn template(text: &str, contexts: &Value) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        let (expression, after) = after.split_once("}}").expect("it is closed");
        out.push_str(before);
        out.push_str(&shown(&evaluate(expression, contexts)));
        rest = after;
    }
    out + rest
}

/// What `if:` makes of a value.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Texts are equal whatever their case; values of two types are compared as numbers.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.eq_ignore_ascii_case(other),
        (Value::Null, Value::Null) => true,
        (Value::Bool(one), Value::Bool(other)) => one == other,
        // Not a number is equal to nothing.
        _ => number(one) == number(other),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Null => Some(0.0),
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        Value::Number(number) => number.as_f64(),
        Value::String(text) if text.is_empty() => Some(0.0),
        Value::String(text) => text.parse().ok(),
        Value::Array(_) | Value::Object(_) => None,
    }
    .or(Some(f64::NAN))
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first == '\'' {
            // A quote in a literal would be doubled; none of ours has one.
            rest[1..].find('\'').expect("it is closed") + 2
        } else if ["&&", "||", "==", "!="]
            .iter()
            .any(|op| rest.starts_with(op))
        {
            2
        } else if first.is_alphanumeric() || first == '_' {
            let word = |c: char| c.is_alphanumeric() || "_-".contains(c);
            rest.find(|c| !word(c)).unwrap_or(rest.len())
        } else {
            1
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}

struct Parser<'a> {
    tokens: &'a [String],
    at: usize,
    contexts: &'a Value,
}

impl Parser<'_> {
    fn eat(&mut self, token: &str) -> bool {
        let is_next = self.tokens.get(self.at).is_some_and(|next| next == token);
        self.at += usize::from(is_next);
        is_next
    }

    fn next(&mut self) -> &str {
        self.at += 1;
        &self.tokens[self.at - 1]
    }

    fn or(&mut self) -> Value {
        let mut value = self.and();
        while self.eat("||") {
            let other = self.and();
            value = if is_true(&value) { value } else { other };
        }
        value
    }

    fn and(&mut self) -> Value {
        let mut value = self.comparison();
        while self.eat("&&") {
            let other = self.comparison();
            value = if is_true(&value) { other } else { value };
        }
        value
    }

    fn comparison(&mut self) -> Value {
        let value = self.unary();
        if self.eat("==") {
            json!(equal(&value, &self.unary()))
        } else if self.eat("!=") {
            json!(!equal(&value, &self.unary()))
        } else {
            value
        }
    }

    fn unary(&mut self) -> Value {
        if self.eat("!") {
            return json!(!is_true(&self.unary()));
        }
        if self.eat("(") {
            let value = self.or();
            assert!(self.eat(")"), "a parenthesis is open");
            return value;
        }
        let word = self.next().to_owned();
        if let Some(text) = word.strip_prefix('\'') {
            return json!(text.trim_end_matches('\''));
        }
        match word.as_str() {
            "true" => return json!(true),
            "false" => return json!(false),
            "null" => return Value::Null,
            _ => {}
        }
        if self.eat("(") {
            return self.call(&word);
        }
        let mut value = self.contexts[&word].clone();
        assert!(!value.is_null(), "there is no context `{word}`");
        let mut each = false;
        while self.eat(".") {
            let name = self.next();
            if name == "*" {
                each = true;
            } else if each {
                let items = value.as_array().cloned().unwrap_or_default();
                value = items.iter().map(|item| item[name].clone()).collect();
            } else {
                value = value.get(name).cloned().unwrap_or(Value::Null);
            }
        }
        value
    }

    fn call(&mut self, function: &str) -> Value {
        let mut arguments = Vec::new();
        while !self.eat(")") {
            arguments.push(self.or());
            self.eat(",");
        }
        match (function, arguments.as_slice()) {
            ("always", []) => json!(true),
            ("contains", [Value::Array(items), item]) => {
                json!(items.iter().any(|one| equal(one, item)))
            }
            // A property that is not there has no items.
            ("contains", [Value::Null, _]) => json!(false),
            _ => panic!("`{function}` of {arguments:?} is not known here"),
        }
    }
}

#[test]
fn expressions_are_those_of_github() {
    let contexts = json!({ "github": { "action": "labeled", "labels": [{ "name": "A" }] } });
    for (text, value) in [
        ("github.action", json!("labeled")),
        ("github.nothing.at.all", Value::Null),
        ("github.action == 'LABELED'", json!(true)),
        ("github.nothing != 'labeled'", json!(true)),
        ("github.nothing == ''", json!(true)),
        ("!github.nothing && 'x' || 'y'", json!("x")),
        ("false && 'x' || 'y'", json!("y")),
        ("true || false && false", json!(true)),
        ("(true || false) && false", json!(false)),
        ("contains(github.labels.*.name, 'a')", json!(true)),
        ("contains(github.labels.*.name, 'b')", json!(false)),
        ("contains(github.nothing.*.name, 'b')", json!(false)),
    ] {
        assert_eq!(evaluate(text, &contexts), value, "{text}");
    }
    assert_eq!(
        template("a-${{ github.action }}-${{ true == true }}", &contexts),
        "a-labeled-true"
    );
}
