//! The kinds of requests, and the tags of their responses (RFC 4511 sections 4.2 to 4.12).
//!
//! Must not know what a request holds.

/// The kind of a request, by its protocolOp tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// BindRequest
    Bind,
    /// UnbindRequest
    Unbind,
    /// SearchRequest
    Search,
    /// ModifyRequest
    Modify,
    /// AddRequest
    Add,
    /// DelRequest
    Delete,
    /// ModifyDNRequest
    ModifyDn,
    /// CompareRequest
    Compare,
    /// AbandonRequest
    Abandon,
    /// ExtendedRequest
    Extended,
}

impl OperationKind {
    pub(super) fn from_tag(tag: u8) -> Option<Self> {
        Some(match tag {
            0x60 => Self::Bind,
            0x42 => Self::Unbind,
            0x63 => Self::Search,
            0x66 => Self::Modify,
            0x68 => Self::Add,
            0x4a => Self::Delete,
            0x6c => Self::ModifyDn,
            0x6e => Self::Compare,
            0x50 => Self::Abandon,
            0x77 => Self::Extended,
            _ => return None,
        })
    }

    /// The tag of the response that ends the operation; `None` for those without a response.
    #[must_use]
    pub fn response_tag(self) -> Option<u8> {
        Some(match self {
            Self::Bind => 0x61,
            Self::Search => 0x65,
            Self::Modify => 0x67,
            Self::Add => 0x69,
            Self::Delete => 0x6b,
            Self::ModifyDn => 0x6d,
            Self::Compare => 0x6f,
            Self::Extended => 0x78,
            Self::Unbind | Self::Abandon => return None,
        })
    }
}
