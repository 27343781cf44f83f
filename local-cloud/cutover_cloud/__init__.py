"""The local cloud: MiniStack in one process, with what it lacks for Cutover added in-process."""
