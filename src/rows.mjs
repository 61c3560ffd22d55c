// What an event writes, with all the values of a statement in one crossing. Other statements take one for each value, and
// one each for the cursor and what it wrote.

/** Writes an event into its device's log; how many rows were written. */
export function write_event(sql, statement, seq, key, at, event, data, details, reply) {
  return sql.exec(statement, seq, key, at, event, data, details, reply).rowsWritten;
}

/** Writes a run of a device's log into that of its shard. */
export function write_run(sql, statement, position, at, device, born, body) {
  return sql.exec(statement, position, at, device, born, body).rowsWritten;
}
