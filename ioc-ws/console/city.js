// The city's GeoJSON in metres, ready to be drawn.
//
// Arrives: a feature collection (RFC 7946) as docs/PROTOCOL.md says. Leaves: zones, rivers, assets
// and sensors around the city's middle, flat: a city is small.

const METRES_PER_DEGREE = 111_195;

/** A city without anything in it. */
export function emptyCity() {
  return cityOf({ features: [] });
}

/** The city's features, in metres around its middle. */
export function cityOf(geojson) {
  const features = geojson.features ?? [];
  const box = boxOf(features);
  const middle = [(box.west + box.east) / 2, (box.south + box.north) / 2];
  const narrow = Math.cos((middle[1] * Math.PI) / 180);
  const metres = ([lon, lat]) => [
    (lon - middle[0]) * METRES_PER_DEGREE * narrow,
    (lat - middle[1]) * METRES_PER_DEGREE,
  ];
  const of = (type) => features.filter((each) => each.properties?.type === type && each.geometry);
  const point = (feature) => {
    const [x, y] = metres(feature.geometry.coordinates);
    const position = feature.geometry.coordinates;
    return { ...feature.properties, id: feature.id, position, x, y };
  };
  const points = (type) => of(type).filter((each) => each.geometry.type === "Point").map(point);
  const zones = of("zone").map((feature) => zoneOf(feature, metres));
  const sensors = points("sensor");
  const names = new Map(zones.map((zone) => [zone.id, zone.name]));
  const zoneName = (id) => names.get(id) ?? (id === "_" ? "no zone" : id);
  const places = new WeakMap();
  const [west, south] = metres([box.west, box.south]);
  const [east, north] = metres([box.east, box.north]);
  const place = (x, y) => [
    middle[0] + x / METRES_PER_DEGREE / narrow,
    middle[1] + y / METRES_PER_DEGREE,
  ];
  return {
    metres,
    /** The longitude and latitude of a point in metres. */
    place,
    zones,
    sensors,
    assets: points("asset"),
    rivers: of("river").flatMap((each) => linesOf(each.geometry)).map((line) => line.map(metres)),
    sensorById: new Map(sensors.map((sensor) => [sensor.id, sensor])),
    extent: { width: Math.max(east - west, 100), height: Math.max(north - south, 100) },
    /** How far two places are from each other, in metres; null if one is not known. */
    apart(a, b) {
      if (!a || !b) return null;
      const [[ax, ay], [bx, by]] = [metres(a), metres(b)];
      return Math.hypot(ax - bx, ay - by);
    },
    /** Where an incident began and, if it has moved on, the zone that holds its middle now. */
    placeOf(incident) {
      if (!places.has(incident)) places.set(incident, placeOf(incident, zones, metres, zoneName));
      return places.get(incident);
    },
  };
}

function placeOf({ zone, position }, zones, metres, zoneName) {
  const at = position && metres(position);
  const now = at && zones.find(({ rings }) => rings.some((ring) => holds(ring, at)));
  return now && now.id !== zone ? `${zoneName(zone)} → ${now.name}` : zoneName(zone);
}

/** Whether a ring holds a point: a line to the east crosses it an odd number of times. */
function holds(ring, [x, y]) {
  let inside = false;
  ring.forEach(([x1, y1], place) => {
    const [x2, y2] = ring.at(place - 1);
    const crosses = y1 > y !== y2 > y && x < x1 + ((x2 - x1) * (y - y1)) / (y2 - y1);
    if (crosses) inside = !inside;
  });
  return inside;
}

function zoneOf(feature, metres) {
  const { type, coordinates } = feature.geometry;
  const areas = type === "MultiPolygon" ? coordinates : type === "Polygon" ? [coordinates] : [];
  const rings = areas.map((area) => area[0].map(metres));
  const all = rings.flat();
  const xs = all.map(([x]) => x);
  const ys = all.map(([, y]) => y);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  return {
    id: feature.id,
    name: feature.properties.name ?? String(feature.id),
    rings,
    width: right - left,
    middle: [(left + right) / 2, (Math.min(...ys) + Math.max(...ys)) / 2],
  };
}

function linesOf({ type, coordinates }) {
  if (type === "LineString") return [coordinates];
  return type === "MultiLineString" ? coordinates : [];
}

function boxOf(features) {
  const box = { west: 180, south: 90, east: -180, north: -90 };
  const take = (coordinates) => {
    if (typeof coordinates[0] !== "number") return coordinates.forEach(take);
    const [lon, lat] = coordinates;
    box.west = Math.min(box.west, lon);
    box.east = Math.max(box.east, lon);
    box.south = Math.min(box.south, lat);
    box.north = Math.max(box.north, lat);
  };
  for (const feature of features) if (feature.geometry) take(feature.geometry.coordinates);
  return box.west > box.east ? { west: -0.01, south: -0.01, east: 0.01, north: 0.01 } : box;
}
