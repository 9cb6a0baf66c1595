// What makes a large thing at once does it without a look at the clock or at the
// memory: here it is bounded. "used" are those of the names that the program has.
(function (used) {
  "use strict";
  const maxText = 16 << 20, maxItems = 4 << 20;
  const { apply, construct } = Reflect;
  const refuse = (what, size, most) => {
    throw new RangeError("a " + what + " of " + size + " is too large: " + most + " are allowed");
  };
  const replace = (on, name, value) => Object.defineProperty(on, name, { value, writable: true, configurable: true, enumerable: false });
  const text = (name, size) => {
    const was = String.prototype[name];
    replace(String.prototype, name, function (...args) {
      const n = size(this, args[0]);
      return n > maxText ? refuse("text", n, maxText) : apply(was, this, args);
    });
  };
  const list = (name) => {
    const was = Array.prototype[name];
    replace(Array.prototype, name, function (...args) {
      const n = Number(this.length);
      return n > maxItems ? refuse("list", n, maxItems) : apply(was, this, args);
    });
  };
  const buffer = (name) => {
    const was = globalThis[name];
    const is = function (...args) {
      const n = typeof args[0] === "number" ? args[0] : 0;
      return n > maxText ? refuse("buffer", n, maxText) : construct(was, args, new.target === is ? was : new.target);
    };
    Object.setPrototypeOf(is, was);
    is.prototype = was.prototype;
    replace(is, "name", name);
    replace(was.prototype, "constructor", is);
    replace(globalThis, name, is);
  };
  for (const name of used) {
    switch (name) {
      case "repeat":
        text(name, (on, n) => String(on).length * Number(n));
        break;
      case "padStart":
      case "padEnd":
        text(name, (on, n) => Number(n));
        break;
      case "from": {
        const was = Array.from;
        replace(Array, "from", function (source, ...args) {
          const n = source === null || source === undefined ? 0 : Number(source.length);
          return n > maxItems ? refuse("list", n, maxItems) : apply(was, this, [source, ...args]);
        });
        break;
      }
      default:
        name[0] < "a" ? buffer(name) : list(name);
    }
  }
})(USED);
