//! The window: decisions to operators over WebSocket and REST, and the console.
