public import Engine
public import TestSupport

/// The engine's time in a simulation is the broker's.
extension VirtualClock: EngineClock {}
