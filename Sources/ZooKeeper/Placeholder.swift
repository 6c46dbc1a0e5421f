// placeholder until the room's first file
