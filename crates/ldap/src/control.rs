//! Controls (RFC 4511 section 4.1.11): the list of a message, and the values of those we implement.
//!
//! Knows the wire form of paged results (RFC 2696), server side sorting (RFC 2891), virtual list view
//! (draft-ietf-ldapext-ldapv3-vlv-09) and dereference (draft-masarati-ldap-deref). Must not know what they do to a
//! search.

use super::ber::{self, BerError, Reader};

/// Simple paged results, RFC 2696.
pub const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
/// Server side sorting request, RFC 2891.
pub const SORT_REQUEST: &str = "1.2.840.113556.1.4.473";
/// Server side sorting response, RFC 2891.
pub const SORT_RESPONSE: &str = "1.2.840.113556.1.4.474";
/// Virtual list view request.
pub const VLV_REQUEST: &str = "2.16.840.1.113730.3.4.9";
/// Virtual list view response.
pub const VLV_RESPONSE: &str = "2.16.840.1.113730.3.4.10";
/// ManageDsaIT, RFC 3296. There are no referrals here, so honouring it changes nothing.
pub const MANAGE_DSA_IT: &str = "2.16.840.1.113730.3.4.2";
/// Dereference, draft-masarati-ldap-deref.
pub const DEREF: &str = "1.3.6.1.4.1.4203.666.5.16";
/// Password policy request, draft-behera-ldap-password-policy.
pub const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";
/// Active Directory's domain scope: no referrals.
pub const DOMAIN_SCOPE: &str = "1.2.840.113556.1.4.1339";
/// Active Directory's search options: 1 for no referrals, 2 for everything below the base on this server.
pub const SEARCH_OPTIONS: &str = "1.2.840.113556.1.4.1340";
/// Active Directory's security descriptor flags: which parts of one to return.
pub const SD_FLAGS: &str = "1.2.840.113556.1.4.801";
/// Active Directory's show deleted objects.
pub const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";
/// Active Directory's permissive modify: no error for values that are there, or gone, already.
pub const PERMISSIVE_MODIFY: &str = "1.2.840.113556.1.4.1413";
/// Subentries, RFC 3672 section 3: whether they, or other entries, are visible.
pub const SUBENTRIES: &str = "1.3.6.1.4.1.4203.1.10.1";

/// One control of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control<'a> {
    /// The control's OID as sent.
    pub control_type: &'a [u8],
    /// Whether the operation must fail if the control is not understood.
    pub criticality: bool,
    /// The value, if there is one.
    pub value: Option<&'a [u8]>,
}

impl<'a> Control<'a> {
    /// Reads the contents of a `controls [0]` element.
    pub(super) fn read_all(contents: &'a [u8]) -> Result<Vec<Self>, BerError> {
        let mut reader = Reader::new(contents);
        let mut controls = Vec::new();
        while !reader.is_empty() {
            let mut control = reader.constructed(ber::SEQUENCE)?;
            let control_type = control.octet_string()?;
            let criticality = match control.optional(ber::BOOLEAN)? {
                Some(contents) => ber::parse_boolean(contents)?,
                None => false,
            };
            let value = control.optional(ber::OCTET_STRING)?;
            control.end_of_sequence(&[ber::OCTET_STRING, ber::BOOLEAN])?;
            controls.push(Self {
                control_type,
                criticality,
                value,
            });
        }
        Ok(controls)
    }

    /// Appends the control as an element of a `controls [0]` list.
    pub fn write(&self, out: &mut Vec<u8>) {
        ber::write_constructed(out, ber::SEQUENCE, |out| {
            ber::write_element(out, ber::OCTET_STRING, self.control_type);
            if self.criticality {
                ber::write_boolean(out, true);
            }
            if let Some(value) = self.value {
                ber::write_element(out, ber::OCTET_STRING, value);
            }
        });
    }
}

/// The flags of a `SEQUENCE` with one integer, as Active Directory's search options and security descriptor flags have it.
///
/// # Errors
/// When the value is malformed.
pub fn read_flags(value: &[u8]) -> Result<u32, BerError> {
    let mut outer = Reader::new(value);
    let mut sequence = outer.constructed(ber::SEQUENCE)?;
    let flags = sequence.max_int()?;
    sequence.end_of_sequence(&[ber::INTEGER])?;
    outer.end()?;
    Ok(flags)
}

/// Whether a subentries control asks for subentries instead of other entries.
///
/// # Errors
/// When the value is no BOOLEAN.
pub fn read_subentries(value: &[u8]) -> Result<bool, BerError> {
    let mut outer = Reader::new(value);
    let visible = outer.optional(ber::BOOLEAN)?.ok_or(BerError::Truncated)?;
    outer.end()?;
    ber::parse_boolean(visible)
}

/// The value of a paged results control, request and response alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagedResults {
    /// Request: entries per page, 0 ends the sequence. Response: an estimate of the total, 0 if unknown.
    pub size: u32,
    /// Where to go on; empty at the start and after the last page.
    pub cookie: Vec<u8>,
}

impl PagedResults {
    /// Reads the value of a request.
    ///
    /// # Errors
    /// When the value is malformed.
    pub fn read(value: &[u8]) -> Result<Self, BerError> {
        let mut outer = Reader::new(value);
        let mut sequence = outer.constructed(ber::SEQUENCE)?;
        let size = sequence.max_int()?;
        let cookie = sequence.octet_string()?.to_vec();
        sequence.end_of_sequence(&[ber::INTEGER, ber::OCTET_STRING])?;
        outer.end()?;
        Ok(Self { size, cookie })
    }

    /// The value as octets.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
            ber::write_integer(out, ber::INTEGER, i64::from(self.size));
            ber::write_element(out, ber::OCTET_STRING, &self.cookie);
        });
        out
    }
}

/// One key of a sort request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The attribute to sort by, as sent.
    pub attribute: Vec<u8>,
    /// The ordering rule, by name or OID.
    pub ordering_rule: Option<Vec<u8>>,
    /// Descending instead of ascending.
    pub reverse_order: bool,
}

/// Most keys a sort request may have; more than a few never mean anything.
pub const MAX_SORT_KEYS: usize = 16;

impl SortKey {
    /// Reads the value of a sort request.
    ///
    /// # Errors
    /// When it is malformed, has no key or more than [`MAX_SORT_KEYS`].
    pub fn read_all(value: &[u8]) -> Result<Vec<Self>, BerError> {
        let mut outer = Reader::new(value);
        let mut list = outer.constructed(ber::SEQUENCE)?;
        outer.end()?;
        let mut keys = Vec::new();
        while !list.is_empty() {
            let mut key = list.constructed(ber::SEQUENCE)?;
            let attribute = key.octet_string()?.to_vec();
            let ordering_rule = key.optional(0x80)?.map(<[u8]>::to_vec);
            let reverse_order = key
                .optional(0x81)?
                .map(ber::parse_boolean)
                .transpose()?
                .unwrap_or(false);
            key.end_of_sequence(&[ber::OCTET_STRING, 0x80, 0x81])?;
            keys.push(Self {
                attribute,
                ordering_rule,
                reverse_order,
            });
            if keys.len() > MAX_SORT_KEYS {
                return Err(BerError::TrailingData);
            }
        }
        if keys.is_empty() {
            Err(BerError::Truncated)
        } else {
            Ok(keys)
        }
    }

    /// The value of a sort request with these keys.
    #[must_use]
    pub fn encode_all(keys: &[Self]) -> Vec<u8> {
        let mut out = Vec::new();
        ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
            for key in keys {
                ber::write_constructed(out, ber::SEQUENCE, |out| {
                    ber::write_element(out, ber::OCTET_STRING, &key.attribute);
                    if let Some(rule) = &key.ordering_rule {
                        ber::write_element(out, 0x80, rule);
                    }
                    if key.reverse_order {
                        ber::write_element(out, 0x81, &[0xff]);
                    }
                });
            }
        });
        out
    }
}

/// The value of a sort response: the result code of RFC 2891 section 1.2 and the attribute at fault.
#[must_use]
pub fn encode_sort_response(code: u8, attribute: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
        ber::write_integer(out, ber::ENUMERATED, i64::from(code));
        if let Some(attribute) = attribute {
            ber::write_element(out, 0x80, attribute);
        }
    });
    out
}

/// Where a virtual list view request points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VlvTarget {
    /// By position in a list the client believes to have `content_count` entries.
    ByOffset {
        /// 1-based position.
        offset: u32,
        /// Size of the list as the client knows it, 0 if it does not.
        content_count: u32,
    },
    /// The first entry whose primary sort key is not less than this value.
    GreaterOrEqual(Vec<u8>),
}

/// The value of a virtual list view request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VlvRequest {
    /// Entries wanted before the target.
    pub before_count: u32,
    /// Entries wanted after the target.
    pub after_count: u32,
    /// The target.
    pub target: VlvTarget,
    /// The context the server gave with an earlier answer.
    pub context_id: Option<Vec<u8>>,
}

impl VlvRequest {
    /// Reads the value of a request.
    ///
    /// # Errors
    /// When the value is malformed.
    pub fn read(value: &[u8]) -> Result<Self, BerError> {
        let mut outer = Reader::new(value);
        let mut sequence = outer.constructed(ber::SEQUENCE)?;
        outer.end()?;
        let before_count = sequence.max_int()?;
        let after_count = sequence.max_int()?;
        let element = sequence.element()?;
        let target = match element.tag {
            0xa0 => {
                let mut by_offset = Reader::new(element.contents);
                let target = VlvTarget::ByOffset {
                    offset: by_offset.max_int()?,
                    content_count: by_offset.max_int()?,
                };
                by_offset.end_of_sequence(&[ber::INTEGER])?;
                target
            }
            0x81 => VlvTarget::GreaterOrEqual(element.contents.to_vec()),
            found => {
                return Err(BerError::UnexpectedTag {
                    expected: 0xa0,
                    found,
                });
            }
        };
        let context_id = sequence.optional(ber::OCTET_STRING)?.map(<[u8]>::to_vec);
        sequence.end_of_sequence(&[ber::INTEGER, ber::OCTET_STRING, 0xa0, 0x81])?;
        Ok(Self {
            before_count,
            after_count,
            target,
            context_id,
        })
    }

    /// The value as octets.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
            ber::write_integer(out, ber::INTEGER, i64::from(self.before_count));
            ber::write_integer(out, ber::INTEGER, i64::from(self.after_count));
            match &self.target {
                VlvTarget::ByOffset {
                    offset,
                    content_count,
                } => ber::write_constructed(out, 0xa0, |out| {
                    ber::write_integer(out, ber::INTEGER, i64::from(*offset));
                    ber::write_integer(out, ber::INTEGER, i64::from(*content_count));
                }),
                VlvTarget::GreaterOrEqual(value) => ber::write_element(out, 0x81, value),
            }
            if let Some(context_id) = &self.context_id {
                ber::write_element(out, ber::OCTET_STRING, context_id);
            }
        });
        out
    }
}

/// The value of a virtual list view response.
#[must_use]
pub fn encode_vlv_response(target_position: u32, content_count: u32, code: u8) -> Vec<u8> {
    let mut out = Vec::new();
    ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
        ber::write_integer(out, ber::INTEGER, i64::from(target_position));
        ber::write_integer(out, ber::INTEGER, i64::from(content_count));
        ber::write_integer(out, ber::ENUMERATED, i64::from(code));
    });
    out
}

/// One `derefAttr:attributes` of a dereference request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerefSpec {
    /// The DN-valued attribute to follow.
    pub deref_attribute: Vec<u8>,
    /// The attributes wanted of the entries it names.
    pub attributes: Vec<Vec<u8>>,
}

/// Most specifications, and most attributes of one, in a dereference request.
pub const MAX_DEREF_ITEMS: usize = 64;

impl DerefSpec {
    /// Reads the value of a request.
    ///
    /// # Errors
    /// When the value is malformed or has more than [`MAX_DEREF_ITEMS`].
    pub fn read_all(value: &[u8]) -> Result<Vec<Self>, BerError> {
        let mut outer = Reader::new(value);
        let mut list = outer.constructed(ber::SEQUENCE)?;
        outer.end()?;
        let mut specs = Vec::new();
        while !list.is_empty() {
            let mut spec = list.constructed(ber::SEQUENCE)?;
            let deref_attribute = spec.octet_string()?.to_vec();
            let mut names = spec.constructed(ber::SEQUENCE)?;
            spec.end_of_sequence(&[ber::OCTET_STRING, ber::SEQUENCE])?;
            let mut attributes = Vec::new();
            while !names.is_empty() {
                attributes.push(names.octet_string()?.to_vec());
            }
            specs.push(Self {
                deref_attribute,
                attributes,
            });
            if specs.len() > MAX_DEREF_ITEMS
                || specs.iter().any(|spec| spec.attributes.len() > MAX_DEREF_ITEMS)
            {
                return Err(BerError::TrailingData);
            }
        }
        Ok(specs)
    }

    /// The value of a request with these specifications.
    #[must_use]
    pub fn encode_all(specs: &[Self]) -> Vec<u8> {
        let mut out = Vec::new();
        ber::write_constructed(&mut out, ber::SEQUENCE, |out| {
            for spec in specs {
                ber::write_constructed(out, ber::SEQUENCE, |out| {
                    ber::write_element(out, ber::OCTET_STRING, &spec.deref_attribute);
                    ber::write_constructed(out, ber::SEQUENCE, |out| {
                        for attribute in &spec.attributes {
                            ber::write_element(out, ber::OCTET_STRING, attribute);
                        }
                    });
                });
            }
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_critical_control_without_a_value_is_legal() {
        let mut octets = Vec::new();
        let control = Control {
            control_type: MANAGE_DSA_IT.as_bytes(),
            criticality: true,
            value: None,
        };
        control.write(&mut octets);
        assert_eq!(Control::read_all(&octets), Ok(vec![control]));
        assert_eq!(Control::read_all(&[0x30, 0]), Err(BerError::Truncated));
    }

    #[test]
    fn values_round_trip() {
        let paged = PagedResults {
            size: 500,
            cookie: vec![1, 2, 3],
        };
        assert_eq!(PagedResults::read(&paged.encode()), Ok(paged));
        let keys = vec![
            SortKey {
                attribute: b"sn".to_vec(),
                ordering_rule: None,
                reverse_order: true,
            },
            SortKey {
                attribute: b"cn".to_vec(),
                ordering_rule: Some(b"2.5.13.3".to_vec()),
                reverse_order: false,
            },
        ];
        assert_eq!(SortKey::read_all(&SortKey::encode_all(&keys)), Ok(keys));
        for target in [
            VlvTarget::ByOffset {
                offset: 3,
                content_count: 70_000,
            },
            VlvTarget::GreaterOrEqual(b"m".to_vec()),
        ] {
            let vlv = VlvRequest {
                before_count: 0,
                after_count: 19,
                target,
                context_id: Some(vec![9]),
            };
            assert_eq!(VlvRequest::read(&vlv.encode()), Ok(vlv));
        }
        let specs = vec![DerefSpec {
            deref_attribute: b"member".to_vec(),
            attributes: vec![b"cn".to_vec()],
        }];
        assert_eq!(DerefSpec::read_all(&DerefSpec::encode_all(&specs)), Ok(specs));
    }

    #[test]
    fn no_value_ends_in_what_it_has_or_in_half_an_element() {
        fn sequence(parts: &[&[u8]]) -> Vec<u8> {
            let mut out = Vec::new();
            ber::write_element(&mut out, ber::SEQUENCE, &parts.concat());
            out
        }
        fn by_offset(tail: &[u8]) -> Vec<u8> {
            let mut out = Vec::new();
            ber::write_element(&mut out, 0xa0, &[&[2, 1, 3, 2, 1, 7], tail].concat());
            out
        }
        /// A value that ends so, and whether it is read.
        type Reads = fn(&[u8]) -> bool;
        let values: [(&str, Reads, &[&[u8]]); 6] = [
            (
                "paged results",
                |tail| PagedResults::read(&sequence(&[&[2, 1, 5, 4, 1, 9], tail])).is_ok(),
                &[&[4, 0], &[2, 1, 5]],
            ),
            (
                "a sort key",
                |tail| {
                    let key = sequence(&[&[4, 1, b'c', 0x81, 1, 0xff], tail]);
                    SortKey::read_all(&sequence(&[&key])).is_ok()
                },
                &[&[4, 1, b'c'], &[0x80, 1, b'x'], &[0x81, 1, 0]],
            ),
            (
                "a virtual list view",
                |tail| VlvRequest::read(&sequence(&[&[2, 1, 0, 2, 1, 19], &by_offset(&[]), tail])).is_ok(),
                &[
                    &[2, 1, 0],
                    &[0x81, 0],
                    &[0xa0, 6, 2, 1, 3, 2, 1, 7],
                    &[4, 0, 4, 0],
                ],
            ),
            (
                "an offset of a virtual list view",
                |tail| VlvRequest::read(&sequence(&[&[2, 1, 0, 2, 1, 19], &by_offset(tail)])).is_ok(),
                &[&[2, 1, 7]],
            ),
            (
                "a dereference",
                |tail| {
                    let spec = sequence(&[&[4, 1, b'm', 0x30, 3, 4, 1, b'c'], tail]);
                    DerefSpec::read_all(&sequence(&[&spec])).is_ok()
                },
                &[&[4, 1, b'm'], &[0x30, 0]],
            ),
            (
                "flags",
                |tail| read_flags(&sequence(&[&[2, 1, 3], tail])).is_ok(),
                &[&[2, 1, 3]],
            ),
        ];
        for (what, reads, known) in values {
            assert!(reads(&[]) && reads(&[0x8f, 0]), "{what}");
            for tail in known {
                assert!(!reads(tail), "{what} {tail:02x?}");
                let late = [&[0x8f, 0], *tail].concat();
                assert!(!reads(&late), "{what} {late:02x?}");
            }
            assert!(!reads(&[0x8f, 2, 0]), "{what}");
        }
    }

    #[test]
    fn values_may_end_in_elements_that_nobody_knows() {
        let tail: &[u8] = &[0xaf, 1, 0xff];
        let by_offset: &[u8] = &[0xa0, 9, 2, 1, 3, 2, 1, 7, 0xaf, 1, 0xff];
        let sequence = |parts: &[&[u8]]| {
            let mut out = Vec::new();
            ber::write_element(&mut out, ber::SEQUENCE, &[&parts.concat(), tail].concat());
            out
        };
        let list = |parts: &[u8]| {
            let mut out = Vec::new();
            ber::write_element(&mut out, ber::SEQUENCE, parts);
            out
        };
        let paged = PagedResults::read(&sequence(&[&[2, 1, 5, 4, 1, 9]]));
        assert_eq!(paged.map(|paged| (paged.size, paged.cookie)), Ok((5, vec![9])));
        let keys = SortKey::read_all(&list(&sequence(&[&[4, 2, b'c', b'n', 0x81, 1, 0xff]])));
        assert!(keys.is_ok_and(|keys| keys.len() == 1 && keys[0].reverse_order));
        let vlv = VlvRequest::read(&sequence(&[&[2, 1, 0, 2, 1, 19], by_offset]));
        let target = VlvTarget::ByOffset {
            offset: 3,
            content_count: 7,
        };
        assert_eq!(vlv.map(|vlv| vlv.target), Ok(target));
        let specs = DerefSpec::read_all(&list(&sequence(&[&[4, 1, b'm', 0x30, 4, 4, 2, b'c', b'n']])));
        assert!(specs.is_ok_and(|specs| specs.len() == 1));
        assert_eq!(read_flags(&sequence(&[&[2, 1, 3]])), Ok(3));
        // Nothing follows a value as a whole.
        let two = [sequence(&[&[2, 1, 5, 4, 1, 9]]).as_slice(), tail].concat();
        assert!(PagedResults::read(&two).is_err());
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        assert!(PagedResults::read(&[0x30, 5, 2, 1, 0xff, 4, 0]).is_err());
        assert!(PagedResults::read(&[0x30, 9, 2, 5, 0, 0x80, 0, 0, 0, 4, 0]).is_err());
        let many = vec![
            SortKey {
                attribute: b"a".to_vec(),
                ordering_rule: None,
                reverse_order: false
            };
            17
        ];
        assert!(SortKey::read_all(&SortKey::encode_all(&many)).is_err());
        assert!(SortKey::read_all(&[0x30, 0]).is_err());
    }
}
