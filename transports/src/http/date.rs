//! IMF-fixdate (RFC 9110 section 5.6.7), the form of the Date header.

use core::time::Duration;

/// `Sun, 06 Nov 1994 08:49:37 GMT` of a time since the Unix epoch. Years after 9999 do not fit and give their last four digits.
pub fn format(since_epoch: Duration) -> [u8; 29] {
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let seconds = since_epoch.as_secs();
    let days = seconds / 86_400;
    // The Unix epoch was a Thursday.
    let weekday = (days % 7) as usize * 3;
    text[..3].copy_from_slice(&b"ThuFriSatSunMonTueWed"[weekday..weekday + 3]);
    let (year, month, day) = civil(days);
    let name = month * 3;
    text[8..11].copy_from_slice(&b"JanFebMarAprMayJunJulAugSepOctNovDec"[name..name + 3]);
    let mut two = |at: usize, value: u64| {
        text[at] = b'0' + (value / 10 % 10) as u8;
        text[at + 1] = b'0' + (value % 10) as u8;
    };
    two(5, day);
    two(12, year / 100);
    two(14, year);
    two(17, seconds / 3600 % 24);
    two(20, seconds / 60 % 60);
    two(23, seconds % 60);
    text
}

/// Year, month from 0, day from 1 of a day since the Unix epoch, in the Gregorian calendar.
fn civil(days: u64) -> (u64, usize, u64) {
    // Years are counted from a 1 March, so that the leap day is the last of its year; 719,468 days lie between 0000-03-01
    // and the epoch, and 400 years have 146,097.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // From March on the months' lengths repeat with a period of 153 days for five months.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let january = u64::from(month >= 10);
    (era * 400 + year + january, (month as usize + 2) % 12, day)
}

/// Today's date as text, formatted again only when the second changes.
#[derive(Debug, Clone)]
pub struct Date {
    second: u64,
    text: [u8; 29],
}

impl Date {
    /// The date at a time since the Unix epoch.
    pub fn new(since_epoch: Duration) -> Self {
        Self { second: since_epoch.as_secs(), text: format(since_epoch) }
    }

    /// The date at a later time since the Unix epoch.
    #[inline]
    pub fn at(&mut self, since_epoch: Duration) -> &[u8; 29] {
        if since_epoch.as_secs() != self.second {
            *self = Self::new(since_epoch);
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (1_795_360_718, "Sun, 22 Nov 2026 15:18:38 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            let date = format(Duration::from_secs(seconds));
            assert_eq!(core::str::from_utf8(&date), Ok(text));
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let leap =
            |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
        let (mut year, mut month, mut day) = (1970, 0, 1);
        for days in 0..200_000 {
            assert_eq!(civil(days), (year, month, day), "day {days}");
            let february = 28 + u64::from(leap(year));
            let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            day += 1;
            if day > lengths[month] {
                (month, day) = (month + 1, 1);
            }
            if month == 12 {
                (year, month) = (year + 1, 0);
            }
        }
    }

    #[test]
    fn the_text_follows_the_clock() {
        let mut date = Date::new(Duration::ZERO);
        assert_eq!(date.at(Duration::from_millis(999)), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date.at(Duration::from_millis(1000)), b"Thu, 01 Jan 1970 00:00:01 GMT");
    }
}
