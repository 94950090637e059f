//! A filter for the kernel: answers go to the core that asked.
//!
//! All cores share one UDP port, and the kernel spreads datagrams by sender, not by question. Our
//! transaction ids are four bytes of which the first names the core, and KRPC answers end in
//! `1:t4:<id>1:y1:r` (or `e`) and `e`. So a classic-BPF program on the reuseport group can read the
//! core from a fixed place near the end. Whatever looks different gets an index past the group,
//! which leaves the choice to the kernel; the mesh moves what landed on the wrong core.

use grenache_engine::BpfInstruction;

const LENGTH: u16 = 0x80; // ld  A = packet length
const SUBTRACT: u16 = 0x14; // sub A -= k
const TO_INDEX: u16 = 0x07; // tax X = A
const WORD: u16 = 0x40; // ld  A = word at X + k
const HALF: u16 = 0x48; // ldh A = half-word at X + k
const BYTE: u16 = 0x50; // ldb A = byte at X + k
const EQUAL: u16 = 0x15; // jeq A == k
const AT_LEAST: u16 = 0x35; // jge A >= k
const RETURN: u16 = 0x06; // ret k
const RETURN_A: u16 = 0x16; // ret A

/// Index past any group: the kernel picks by address hash.
const KERNELS_CHOICE: u32 = u32::MAX;

/// Length of `4:<id>1:y1:re`, the tail of every answer to a query of ours.
const TAIL: u32 = 13;

/// The program; jump distances are counted in instructions that are skipped.
pub(crate) fn answers_to_their_core() -> Vec<BpfInstruction> {
    let op = |code, jt, jf, k| BpfInstruction { code, jt, jf, k };
    vec![
        op(LENGTH, 0, 0, 0),
        op(AT_LEAST, 0, 11, TAIL),
        op(SUBTRACT, 0, 0, TAIL),
        op(TO_INDEX, 0, 0, 0),
        op(HALF, 0, 0, 0),
        op(EQUAL, 0, 7, u32::from(u16::from_be_bytes(*b"4:"))),
        op(WORD, 0, 0, 6),
        op(EQUAL, 0, 5, u32::from_be_bytes(*b"1:y1")),
        op(HALF, 0, 0, 10),
        op(EQUAL, 1, 0, u32::from(u16::from_be_bytes(*b":r"))),
        op(EQUAL, 0, 2, u32::from(u16::from_be_bytes(*b":e"))),
        op(BYTE, 0, 0, 2),
        op(RETURN_A, 0, 0, 0),
        op(RETURN, 0, 0, KERNELS_CHOICE),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The machine that the kernel runs, for the instructions used here.
    fn run(program: &[BpfInstruction], packet: &[u8]) -> u32 {
        let (mut a, mut x, mut at) = (0u32, 0u32, 0usize);
        let load = |from: u32, size: usize| {
            packet
                .get(from as usize..from as usize + size)
                .map(|bytes| bytes.iter().fold(0u32, |value, byte| value << 8 | u32::from(*byte)))
        };
        loop {
            let op = &program[at];
            at += 1;
            let loaded = match op.code {
                LENGTH => Some(packet.len() as u32),
                SUBTRACT => Some(a - op.k),
                TO_INDEX => {
                    x = a;
                    Some(a)
                }
                WORD => load(x + op.k, 4),
                HALF => load(x + op.k, 2),
                BYTE => load(x + op.k, 1),
                EQUAL | AT_LEAST => {
                    let holds = if op.code == EQUAL { a == op.k } else { a >= op.k };
                    at += usize::from(if holds { op.jt } else { op.jf });
                    Some(a)
                }
                RETURN => return op.k,
                RETURN_A => return a,
                other => panic!("instruction {other:#x}"),
            };
            match loaded {
                Some(value) => a = value,
                None => return 0, // a load past the packet ends the program with 0
            }
        }
    }

    #[test]
    fn answers_name_their_core_and_all_else_is_the_kernels_choice() {
        let program = answers_to_their_core();
        let answer = |id: &[u8], kind: &[u8]| {
            [b"d1:rd2:id20:aaaaaaaaaaaaaaaaaaaae1:t4:", id, b"1:y1:", kind, b"e"].concat()
        };
        assert_eq!(run(&program, &answer(b"\x03xyz", b"r")), 3);
        assert_eq!(run(&program, &answer(b"\x00xyz", b"e")), 0);
        assert_eq!(run(&program, &answer(b"\x03xyz", b"q")), KERNELS_CHOICE);
        for short in [&b""[..], b"4:", b"d1:t2:aa1:y1:re", b"4:\x01xyz1:y1:r"] {
            assert_eq!(run(&program, short), KERNELS_CHOICE, "{short:?}");
        }
        assert_eq!(run(&program, b"4:\x01xyz1:y1:re"), 1);
        // A version of four bytes stands where the id is looked for, and names no core there is.
        assert_eq!(run(&program, b"d1:rde1:t4:\x01xyz1:v4:LT\x01\x021:y1:re"), u32::from(b'L'));
    }
}
