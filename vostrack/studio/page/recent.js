/** What was loaded last. */

const KEPT = 24;

/** A small cache that forgets what was used longest ago. */
export class Recent extends Map {
  get(key) {
    const value = super.get(key);
    if (value !== undefined) {
      super.delete(key);
      super.set(key, value);
    }
    return value;
  }

  set(key, value) {
    super.set(key, value);
    if (this.size > KEPT) this.delete(this.keys().next().value);
    return this;
  }
}
