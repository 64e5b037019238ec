//! Functions that queries may use beside the engine's own.

use std::net::IpAddr;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};

/// All of them.
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

fn texts(name: &str, of: fn(&str) -> Option<String>) -> ScalarUDF {
    let function = move |args: &[ColumnarValue]| -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(args)?;
        let [texts] = &arrays[..] else {
            return datafusion::common::plan_err!("one argument is needed");
        };
        let texts = cast(texts, &DataType::Utf8)?;
        let found: StringArray = texts.as_string::<i32>().iter().map(|t| t.and_then(of)).collect();
        let found: ArrayRef = Arc::new(found);
        match args {
            [ColumnarValue::Scalar(_)] => {
                datafusion::common::ScalarValue::try_from_array(&found, 0)
                    .map(ColumnarValue::Scalar)
            }
            _ => Ok(ColumnarValue::Array(found)),
        }
    };
    create_udf(
        name,
        vec![DataType::Utf8],
        DataType::Utf8,
        Volatility::Immutable,
        Arc::new(function),
    )
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
