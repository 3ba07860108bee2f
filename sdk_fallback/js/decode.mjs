// Garmin's own JavaScript decoder, as an outside check. Reads paths of FIT files on stdin, one a line. Writes one
// line of JSON for each to stdout: its errors, and the weigh-ins with their raw and their scaled values.
import { readFileSync } from "node:fs";
import { Decoder, Stream } from "@garmin/fitsdk";

const decode = (path, options) => {
  const decoder = new Decoder(Stream.fromByteArray(readFileSync(path)));
  const { messages, errors } = decoder.read({ convertTypesToStrings: false, convertDateTimesToDates: false, ...options });
  return { errors: errors.map(String), weighIns: messages.weightScaleMesgs ?? [] };
};

for (const path of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const whole = new Decoder(Stream.fromByteArray(readFileSync(path))).checkIntegrity();
  const raw = decode(path, { applyScaleAndOffset: false, mergeHeartRates: false, expandComponents: false });
  const scaled = decode(path, {});
  console.log(JSON.stringify({ whole, errors: [...raw.errors, ...scaled.errors], raw: raw.weighIns, scaled: scaled.weighIns }));
}
