// The least a Worker in JavaScript can be: a floor.

export default {
  fetch() {
    return new Response("hello");
  },
};
