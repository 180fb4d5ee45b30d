/** Whether the person has asked the browser for less motion: then nothing sways, flies or slides that only decorates. */
const query = matchMedia("(prefers-reduced-motion: reduce)");

export const lessMotion = (): boolean => query.matches;
