//! Functions that queries may use beside the engine's own.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray, UInt64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use foldhash::quality::RandomState;

/// Those of any query.
pub(crate) fn all() -> [ScalarUDF; 2] {
    [texts("domain", domain), texts("network", network)]
}

/// The registrable domain of a host name by the public suffix list (`whatsapp.net` of
/// `mmi633.whatsapp.net`); null for what is none, such as an address or a bare suffix.
fn domain(name: &str) -> Option<String> {
    if name.parse::<IpAddr>().is_ok() {
        return None;
    }
    psl::domain_str(name.trim_end_matches('.')).map(str::to_owned)
}

/// The /24 of an IPv4 address or the /48 of an IPv6 address, which is what is announced and
/// assigned at the least; null for what is no address, such as a pseudonym.
fn network(address: &str) -> Option<String> {
    match address.parse().ok()? {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            Some(format!("{a}.{b}.{c}.0/24"))
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            let prefix = std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0);
            Some(format!("{prefix}/48"))
        }
    }
}

/// 64 bits for a text, other ones in every process: what is counted by them needs an eighth of
/// the memory. Of a million texts two are taken for one in one of forty million studies.
pub(crate) fn id() -> ScalarUDF {
    let state = RandomState::default();
    let function = move |args: &[ColumnarValue]| -> Result<ColumnarValue> {
        let texts = argument(args)?;
        let ids = texts.as_string::<i32>().iter().map(|text| text.map(|text| state.hash_one(text)));
        let ids: UInt64Array = ids.collect();
        returned(args, Arc::new(ids))
    };
    let function = Arc::new(function);
    create_udf("id", vec![DataType::Utf8], DataType::UInt64, Volatility::Immutable, function)
}

fn texts(name: &str, of: fn(&str) -> Option<String>) -> ScalarUDF {
    let function = move |args: &[ColumnarValue]| -> Result<ColumnarValue> {
        let texts = argument(args)?;
        let found: StringArray = texts.as_string::<i32>().iter().map(|t| t.and_then(of)).collect();
        returned(args, Arc::new(found))
    };
    let function = Arc::new(function);
    create_udf(name, vec![DataType::Utf8], DataType::Utf8, Volatility::Immutable, function)
}

/// The one argument, as texts.
fn argument(args: &[ColumnarValue]) -> Result<ArrayRef> {
    match &ColumnarValue::values_to_arrays(args)?[..] {
        [texts] => Ok(cast(texts, &DataType::Utf8)?),
        _ => plan_err!("one argument is needed"),
    }
}

/// A value where a value was given, a column where a column was.
fn returned(args: &[ColumnarValue], found: ArrayRef) -> Result<ColumnarValue> {
    match args {
        [ColumnarValue::Scalar(_)] => {
            ScalarValue::try_from_array(&found, 0).map(ColumnarValue::Scalar)
        }
        _ => Ok(ColumnarValue::Array(found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_what_one_can_register() {
        for (name, expected) in [
            ("mmi633.whatsapp.net", Some("whatsapp.net")),
            ("short.weixin.qq.com", Some("qq.com")),
            ("a.b.co.uk.", Some("b.co.uk")),
            ("co.uk", None),
            ("192.0.2.1", None),
            ("2001:db8::1", None),
            ("", None),
        ] {
            assert_eq!(domain(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn networks_are_of_addresses() {
        for (address, expected) in [
            ("31.13.86.48", Some("31.13.86.0/24")),
            ("2a03:2880:f242:1::1", Some("2a03:2880:f242::/48")),
            ("~10.1.2.3", None),
            ("0123456789abcdef0123456789abcdef", None),
        ] {
            assert_eq!(network(address).as_deref(), expected, "{address}");
        }
    }
}
