"""Kernel subjects, one file each: functions that raise OSError and know no word of the engine."""
