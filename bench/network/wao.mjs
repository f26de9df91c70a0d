// The emulator of npm's `wao`, all units in memory.   node wao.mjs FOLDER_OF_PACKAGES PORT
import { pathToFileURL } from "node:url"
const [folder, port] = process.argv.slice(2)
const { default: Server } = await import(pathToFileURL(`${folder}/node_modules/wao/esm/server.js`))
new Server({ port: Number(port) })
