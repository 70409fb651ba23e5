//! Actions on dead letters: replays, deletes, exports and undos as records with a name, an actor, counts and an outcome.
