// placeholder until the room's first test
