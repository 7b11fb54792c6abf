"""Pure decisions: verdicts, statistics, schedules, the evidence model, errors. No I/O, no clock."""
