//! Operating systems as the network sees them: SYN fingerprints and idle timeouts.

/// A TCP/IP stack.
#[derive(Debug, PartialEq)]
pub(crate) struct Stack {
    /// Name in the truth.
    pub name: &'static str,
    /// Initial hop limit.
    pub ttl: u8,
    /// Window of the SYN.
    pub window: u16,
    /// Window of later segments, unscaled.
    pub later_window: u16,
    /// Window scale that it offers.
    pub scale: u8,
    /// Largest segment that it offers.
    pub mss: u16,
    /// SYN asks for explicit congestion notification (RFC 3168, 6.1.1).
    pub ecn: bool,
    /// Timestamps (RFC 7323) on every segment.
    pub stamps: bool,
    /// Order of the SYN's options: `m`ss, `s`ack permitted, `t`imestamp, `n`op, `w`indow scale,
    /// `e`nd.
    pub options: &'static [u8],
    /// WhatsApp closes an idle chat connection after these seconds (Fiadino et al., section
    /// (iii)), each as likely.
    pub idle: &'static [u32],
}

// Options, windows and hop limits are those behind nDPI's published fingerprints of Android
// (2_64_65535_41a9d5af7dd3), iOS (194_64_65535_15db81ff8b0d) and Windows (2_128_64240_6bb88f5575fd).
// For BlackBerry none is published; QNX takes its TCP from BSD, hence FreeBSD's
// (2_64_65535_8bf9e292397e).
pub(crate) static ANDROID: Stack = Stack {
    name: "android",
    ttl: 64,
    window: 65535,
    later_window: 1024,
    scale: 8,
    mss: 1460,
    ecn: false,
    stamps: true,
    options: b"mstnw",
    idle: &[600, 900, 1440],
};
pub(crate) static IOS: Stack = Stack {
    name: "ios",
    ttl: 64,
    window: 65535,
    later_window: 4096,
    scale: 5,
    mss: 1460,
    ecn: true,
    stamps: true,
    options: b"mnwnntsee",
    idle: &[180],
};
pub(crate) static BLACKBERRY: Stack = Stack {
    name: "blackberry",
    ttl: 64,
    window: 65535,
    later_window: 2048,
    scale: 6,
    mss: 1460,
    ecn: false,
    stamps: true,
    options: b"mnwst",
    idle: &[900],
};
pub(crate) static WINDOWS_PHONE: Stack = Stack {
    name: "windows-phone",
    ttl: 128,
    window: 64240,
    later_window: 1024,
    scale: 8,
    mss: 1460,
    ecn: false,
    stamps: false,
    options: b"mnwnns",
    idle: &[600],
};

/// The servers' answer to a SYN, whoever asks; timestamps only where the client offers them.
const SERVER_WINDOW: u16 = 65160;
const SERVER_SCALE: u8 = 7;
const SERVER_LATER_WINDOW: u16 = 1024;

impl Stack {
    /// Options of the client's SYN; returns the length, a multiple of four.
    pub(crate) fn syn(&self, stamp: u32, out: &mut [u8; 40]) -> usize {
        options(self.options, self.mss, self.scale, stamp, 0, out)
    }

    /// Options of the server's SYN/ACK.
    pub(crate) fn syn_ack(&self, stamp: u32, echo: u32, out: &mut [u8; 40]) -> usize {
        let kinds: &[u8] = if self.stamps { b"mstnw" } else { b"mnnsnw" };
        options(kinds, 1460, SERVER_SCALE, stamp, echo, out)
    }

    /// Options of every later segment.
    pub(crate) fn later(&self, stamp: u32, echo: u32, out: &mut [u8; 40]) -> usize {
        if self.stamps { options(b"nnt", 0, 0, stamp, echo, out) } else { 0 }
    }

    /// Payload bytes of a full segment within an MTU of 1500.
    pub(crate) fn segment(&self, v6: bool) -> u16 {
        let headers = if v6 { 20 } else { 0 } + if self.stamps { 12 } else { 0 };
        self.mss - headers
    }

    /// The window field of a segment that `side` sends.
    pub(crate) fn advertised(&self, side: usize, syn: bool) -> u16 {
        match (side, syn) {
            (0, true) => self.window,
            (0, false) => self.later_window,
            (_, true) => SERVER_WINDOW,
            (_, false) => SERVER_LATER_WINDOW,
        }
    }
}

fn options(kinds: &[u8], mss: u16, scale: u8, stamp: u32, echo: u32, out: &mut [u8; 40]) -> usize {
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        out[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    for kind in kinds {
        match kind {
            b'm' => put(&[2, 4, (mss >> 8) as u8, mss as u8]),
            b's' => put(&[4, 2]),
            b't' => {
                put(&[8, 10]);
                put(&stamp.to_be_bytes());
                put(&echo.to_be_bytes());
            }
            b'w' => put(&[3, 3, scale]),
            b'n' => put(&[1]),
            _ => put(&[0]),
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_whole_words() {
        for stack in [&ANDROID, &IOS, &BLACKBERRY, &WINDOWS_PHONE] {
            let mut out = [0; 40];
            for len in
                [stack.syn(1, &mut out), stack.syn_ack(1, 2, &mut out), stack.later(1, 2, &mut out)]
            {
                assert_eq!(len % 4, 0, "{}", stack.name);
            }
        }
        let mut out = [0; 40];
        let len = IOS.syn(0x01020304, &mut out);
        assert_eq!(
            out[..len],
            [2, 4, 5, 0xb4, 1, 3, 3, 5, 1, 1, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 4, 2, 0, 0]
        );
    }
}
