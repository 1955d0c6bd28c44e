//! The terminal while a program has all of it: it is given back whatever ends the program.

use std::io::{Read, Stdout, Write, stdin, stdout};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::super::columns::has_colours;
use super::frame::{Drawn, Size};

/// The control sequences of ECMA-48 and xterm that every terminal of today knows.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const TO_END_OF_LINE: &str = "\x1b[K";
const TO_END: &str = "\x1b[J";

/// A wish of the viewer, or a change of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// End.
    End,
    /// Look at once.
    Look,
    /// Draw again: the terminal has another size.
    Redraw,
}

/// The whole terminal.
#[derive(Debug)]
pub struct Screen {
    out: Stdout,
    before: Termios,
    keys: mpsc::Receiver<Wish>,
    interrupted: Signal,
    terminated: Signal,
    resized: Signal,
    has_colours: bool,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// It is none, or is gone.
    pub fn enter() -> std::io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let (send, keys) = mpsc::channel(16);
        let mut screen = Self {
            out: stdout(),
            keys,
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
            resized: signal(SignalKind::window_change())?,
            has_colours: has_colours(),
            before,
        };
        let mut silent = screen.before.clone();
        // Each key comes at once and is not shown; those for signals stay what they are.
        silent.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        tcsetattr(stdin(), OptionalActions::Now, &silent)?;
        screen.out.write_all(ENTER.as_bytes())?;
        // It waits for a key for as long as the program runs, and ends with it.
        std::thread::spawn(move || {
            for key in stdin().lock().bytes().map_while(Result::ok) {
                if let Some(wish) = meaning(key)
                    && send.blocking_send(wish).is_err()
                {
                    return;
                }
            }
        });
        Ok(screen)
    }

    /// Returns its size, where it says it.
    pub fn size(&self) -> Size {
        let size = tcgetwinsize(&self.out).ok();
        let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or(Size::default(), |size| Size {
            columns: size.ws_col,
            rows: size.ws_row,
        })
    }

    /// Waits for a key that means something, a signal, or another size.
    pub async fn wish(&mut self) -> Wish {
        tokio::select! {
            // Without keys, as where the terminal is gone, there is nobody to look.
            key = self.keys.recv() => key.unwrap_or(Wish::End),
            _ = self.interrupted.recv() => Wish::End,
            _ = self.terminated.recv() => Wish::End,
            _ = self.resized.recv() => Wish::Redraw,
        }
    }

    /// Waits for the wish to end.
    pub async fn end(&mut self) {
        while self.wish().await != Wish::End {}
    }

    /// Draws lines, as many as there is room for, in the place of those before.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw(&mut self, lines: &[Drawn]) -> std::io::Result<()> {
        let Size { columns, rows } = self.size();
        let rows = usize::from(rows);
        let drawn = lines.iter().take(rows).map(|line| {
            let text: String = line.text.chars().take(usize::from(columns)).collect();
            line.tone.paint(&text, self.has_colours) + TO_END_OF_LINE
        });
        let drawn: Vec<_> = drawn.collect();
        // One piece, so that nothing flickers; no line end after the last line, which would scroll.
        let frame = format!("{HOME}{}{TO_END}", drawn.join("\r\n"));
        self.out.write_all(frame.as_bytes())?;
        self.out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Whatever fails here, there is no terminal to give back.
        let _ = self.out.write_all(LEAVE.as_bytes());
        let _ = self.out.flush();
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}

fn meaning(key: u8) -> Option<Wish> {
    match key {
        b'q' | b'Q' => Some(Wish::End),
        b' ' | b'r' | b'\n' => Some(Wish::Look),
        _ => None,
    }
}
