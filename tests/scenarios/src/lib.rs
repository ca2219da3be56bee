//! Requests and the answers they must get, as tables, with no vehicle.
