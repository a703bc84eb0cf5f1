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
    return { ...feature.properties, id: feature.id, x, y };
  };
  const points = (type) => of(type).filter((each) => each.geometry.type === "Point").map(point);
  const zones = of("zone").map((feature) => zoneOf(feature, metres));
  const sensors = points("sensor");
  const names = new Map(zones.map((zone) => [zone.id, zone.name]));
  const [west, south] = metres([box.west, box.south]);
  const [east, north] = metres([box.east, box.north]);
  return {
    metres,
    zones,
    sensors,
    assets: points("asset"),
    rivers: of("river").flatMap((each) => linesOf(each.geometry)).map((line) => line.map(metres)),
    sensorById: new Map(sensors.map((sensor) => [sensor.id, sensor])),
    extent: { width: Math.max(east - west, 100), height: Math.max(north - south, 100) },
    zoneName: (id) => names.get(id) ?? (id === "_" ? "no zone" : id),
  };
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
