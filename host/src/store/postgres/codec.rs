//! Values on their way to PostgreSQL and back.
//!
//! A value is written as the type that PostgreSQL expects of the parameter. Text may hold
//! anything that a sender wrote; PostgreSQL takes all of it but the character 0. So that and
//! [`ESCAPE`] are escaped, and a hash in the place of a long event id is text of hex digits behind
//! an escape.

use std::error::Error;

use rusqlite::types::Value;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};

/// Begins an escape within text.
const ESCAPE: char = '\u{1}';

/// A value, to be written as the type of its parameter.
#[derive(Debug)]
pub struct Param<'a>(pub &'a Value);

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        of: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self.0, of) {
            (Value::Null, _) => return Ok(IsNull::Yes),
            (Value::Integer(number), &Type::BOOL) => {
                out.extend_from_slice(&[u8::from(*number != 0)])
            }
            (Value::Integer(number), &Type::INT8) => out.extend_from_slice(&number.to_be_bytes()),
            (Value::Integer(number), &Type::INT4) => {
                out.extend_from_slice(&i32::try_from(*number)?.to_be_bytes());
            }
            (Value::Integer(number), _) => out.extend_from_slice(number.to_string().as_bytes()),
            (Value::Real(number), _) => out.extend_from_slice(&number.to_be_bytes()),
            (Value::Text(text), &Type::BYTEA) => out.extend_from_slice(text.as_bytes()),
            (Value::Text(text), _) => out.extend_from_slice(escaped(text).as_bytes()),
            (Value::Blob(bytes), &Type::BYTEA) => out.extend_from_slice(bytes),
            (Value::Blob(bytes), _) => out.extend_from_slice(hex(bytes).as_bytes()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Values of one parameter, which is an array.
#[derive(Debug)]
pub struct Column<'a>(pub &'a [Value]);

impl ToSql for Column<'_> {
    fn to_sql(
        &self,
        of: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let params: Vec<Param<'_>> = self.0.iter().map(Param).collect();
        params.to_sql(of, out)
    }

    fn accepts(of: &Type) -> bool {
        matches!(of.kind(), Kind::Array(_))
    }

    to_sql_checked!();
}

/// A value that was read.
#[derive(Debug)]
pub struct Cell(pub Value);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match *of {
            Type::BOOL => Value::Integer(i64::from(bool::from_sql(of, raw)?)),
            Type::INT8 => Value::Integer(i64::from_sql(of, raw)?),
            Type::INT4 => Value::Integer(i32::from_sql(of, raw)?.into()),
            Type::INT2 => Value::Integer(i16::from_sql(of, raw)?.into()),
            Type::FLOAT8 => Value::Real(f64::from_sql(of, raw)?),
            Type::BYTEA => Value::Blob(raw.to_vec()),
            Type::TEXT | Type::VARCHAR | Type::NAME | Type::UNKNOWN => {
                unescaped(std::str::from_utf8(raw)?)
            }
            _ => return Err(format!("a column has the type {of}").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Returns text as PostgreSQL takes it.
pub fn escaped(text: &str) -> String {
    if !text.contains(['\0', ESCAPE]) {
        return text.to_owned();
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for one in text.chars() {
        match one {
            '\0' => escaped.extend([ESCAPE, '0']),
            ESCAPE => escaped.extend([ESCAPE, '1']),
            _ => escaped.push(one),
        }
    }
    escaped
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    format!("{ESCAPE}x{}", digits.collect::<String>())
}

fn unescaped(text: &str) -> Value {
    if !text.contains(ESCAPE) {
        return Value::Text(text.to_owned());
    }
    if let Some(digits) = text.strip_prefix("\u{1}x") {
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        };
        if let Some(bytes) = digits.as_bytes().chunks(2).map(byte).collect() {
            return Value::Blob(bytes);
        }
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(one) = rest.next() {
        match one {
            ESCAPE => match rest.next() {
                Some('0') => plain.push('\0'),
                Some('1') => plain.push(ESCAPE),
                other => plain.extend([ESCAPE].into_iter().chain(other)),
            },
            _ => plain.push(one),
        }
    }
    Value::Text(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was(text in "(\u{0}|\u{1}|x|0|1|.)*") {
            let written = escaped(&text);
            prop_assert!(!written.contains('\0'));
            prop_assert_eq!(unescaped(&written), Value::Text(text));
        }

        #[test]
        fn any_bytes_in_a_text_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(unescaped(&hex(&bytes)), Value::Blob(bytes));
        }
    }
}
