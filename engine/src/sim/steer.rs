//! Classic BPF, as a kernel runs it to pick a socket of a group.

use crate::config::BpfInstruction;

/// A program that may be run: it ends, and every instruction is known.
#[derive(Clone)]
pub(super) struct Program {
    instructions: Vec<BpfInstruction>,
}

/// Words of scratch memory.
const MEMORY: usize = 16;

impl Program {
    /// Takes a program that a kernel would take.
    pub(super) fn new(instructions: &[BpfInstruction]) -> Option<Self> {
        let count = instructions.len();
        let sound = instructions.iter().enumerate().all(|(at, op)| {
            let inside = |jump: u32| (jump as usize) < count - at - 1;
            match op.code {
                0x05 => inside(op.k),
                0x15 | 0x25 | 0x35 | 0x45 | 0x1d | 0x2d | 0x3d | 0x4d => {
                    inside(op.jt.into()) && inside(op.jf.into())
                }
                0x60 | 0x61 | 0x02 | 0x03 => (op.k as usize) < MEMORY,
                0x34 | 0x94 => op.k != 0,
                0x20 | 0x28 | 0x30 | 0x40 | 0x48 | 0x50 | 0x80 | 0x00 => true,
                0x01 | 0x81 | 0xb1 | 0x07 | 0x87 | 0x84 | 0x06 | 0x16 => true,
                code => code < 0xb0 && code & 0x07 == 0x04 && code != 0x8c,
            }
        });
        let ends = instructions.last().is_some_and(|op| matches!(op.code, 0x06 | 0x16));
        (sound && ends && count <= 4096).then(|| Self { instructions: instructions.to_vec() })
    }

    /// What the program answers for a packet; reading past its end answers 0, as in a kernel.
    pub(super) fn run(&self, packet: &[u8]) -> u32 {
        self.execute(packet).unwrap_or(0)
    }

    fn execute(&self, packet: &[u8]) -> Option<u32> {
        let (mut a, mut x, mut memory) = (0u32, 0u32, [0u32; MEMORY]);
        let mut rest = self.instructions.iter();
        let length = packet.len() as u32;
        loop {
            let op = rest.next()?;
            let k = op.k;
            match op.code {
                0x00 => a = k,
                0x20 => a = load(packet, k, 4)?,
                0x28 => a = load(packet, k, 2)?,
                0x30 => a = load(packet, k, 1)?,
                0x40 => a = load(packet, x.checked_add(k)?, 4)?,
                0x48 => a = load(packet, x.checked_add(k)?, 2)?,
                0x50 => a = load(packet, x.checked_add(k)?, 1)?,
                0x60 => a = memory[k as usize],
                0x80 => a = length,
                0x01 => x = k,
                0x61 => x = memory[k as usize],
                0x81 => x = length,
                0xb1 => x = (load(packet, k, 1)? & 0x0f) * 4,
                0x02 => memory[k as usize] = a,
                0x03 => memory[k as usize] = x,
                0x06 => return Some(k),
                0x16 => return Some(a),
                0x07 => x = a,
                0x87 => a = x,
                code if code & 0x07 == 0x04 => {
                    let operand = if code & 0x08 == 0 { k } else { x };
                    a = calculate(code & 0xf0, a, operand)?;
                }
                code => {
                    let operand = if code & 0x08 == 0 { k } else { x };
                    let jump = match code & 0xf0 {
                        0x10 if a == operand => op.jt.into(),
                        0x20 if a > operand => op.jt.into(),
                        0x30 if a >= operand => op.jt.into(),
                        0x40 if a & operand != 0 => op.jt.into(),
                        0x00 => k,
                        _ => op.jf.into(),
                    };
                    if jump > 0 {
                        rest.nth(jump as usize - 1)?;
                    }
                }
            }
        }
    }
}

fn load(packet: &[u8], at: u32, size: usize) -> Option<u32> {
    let bytes = packet.get(at as usize..(at as usize).checked_add(size)?)?;
    Some(bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)))
}

fn calculate(operation: u16, a: u32, operand: u32) -> Option<u32> {
    Some(match operation {
        0x00 => a.wrapping_add(operand),
        0x10 => a.wrapping_sub(operand),
        0x20 => a.wrapping_mul(operand),
        0x30 => a.checked_div(operand)?,
        0x40 => a | operand,
        0x50 => a & operand,
        0x60 => a.checked_shl(operand).unwrap_or(0),
        0x70 => a.checked_shr(operand).unwrap_or(0),
        0x80 => a.wrapping_neg(),
        0x90 => a.checked_rem(operand)?,
        _ => a ^ operand,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(instructions: &[(u16, u8, u8, u32)]) -> Option<Program> {
        let op = |&(code, jt, jf, k): &(u16, u8, u8, u32)| BpfInstruction { code, jt, jf, k };
        Program::new(&instructions.iter().map(op).collect::<Vec<_>>())
    }

    #[test]
    fn loads_calculates_and_jumps() {
        // The last byte, halved, if the first half-word is "ab"; otherwise all ones.
        let program = program(&[
            (0x28, 0, 0, 0),
            (0x15, 0, 5, 0x6162),
            (0x80, 0, 0, 0),
            (0x14, 0, 0, 1),
            (0x07, 0, 0, 0),
            (0x50, 0, 0, 0),
            (0x34, 0, 0, 2),
            (0x15, 0, 1, u32::MAX),
            (0x06, 0, 0, u32::MAX),
            (0x16, 0, 0, 0),
        ]);
        let program = program.unwrap();
        assert_eq!(program.run(b"ab..\x08"), 4);
        assert_eq!(program.run(b"xy"), (u32::from(b'x') << 8 | u32::from(b'y')));
        assert_eq!(program.run(b"a"), 0);
    }

    #[test]
    fn refuses_what_might_not_end() {
        assert!(program(&[]).is_none());
        assert!(program(&[(0x80, 0, 0, 0)]).is_none());
        assert!(program(&[(0x15, 1, 0, 0), (0x06, 0, 0, 0)]).is_none());
        assert!(program(&[(0x60, 0, 0, 16), (0x16, 0, 0, 0)]).is_none());
        assert!(program(&[(0xffff, 0, 0, 0), (0x16, 0, 0, 0)]).is_none());
    }
}
