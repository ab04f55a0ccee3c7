type Listener<Arguments extends unknown[]> = (...values: Arguments) => void;

/** Events as Node's `EventEmitter` names them, on every platform. */
export class Emitter<Events extends { [name in keyof Events]: unknown[] }> {
  private readonly known = new Map<keyof Events, Array<{ call: Listener<never>; once: boolean }>>();

  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    return this.add(name, listener, false);
  }

  once<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    return this.add(name, listener, true);
  }

  off<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    this.known.set(name, (this.known.get(name) ?? []).filter((entry) => entry.call !== listener));
    return this;
  }

  addListener<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    return this.on(name, listener);
  }

  removeListener<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): this {
    return this.off(name, listener);
  }

  removeAllListeners(name?: keyof Events): this {
    if (name === undefined) this.known.clear();
    else this.known.delete(name);
    return this;
  }

  listenerCount(name: keyof Events): number {
    return this.known.get(name)?.length ?? 0;
  }

  /** @returns whether anybody listened. */
  emit<Name extends keyof Events>(name: Name, ...values: Events[Name]): boolean {
    const entries = this.known.get(name) ?? [];
    for (const entry of [...entries]) {
      if (entry.once) this.off(name, entry.call as Listener<Events[Name]>);
      (entry.call as Listener<Events[Name]>)(...values);
    }
    return entries.length > 0;
  }

  private add<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>, once: boolean): this {
    this.known.set(name, [...(this.known.get(name) ?? []), { call: listener, once }]);
    return this;
  }
}
